"""manifest.json of this version, of earlier ones and of later ones."""

import json

import pytest

from i2p_tf.client import manifest
from i2p_tf.errors import InputError


def write(folder, content):
    (folder / manifest.MANIFEST).write_text(json.dumps(content))


@pytest.mark.parametrize("schema", [{}, {"schema": manifest.SCHEMA}])
def test_this_version_and_earlier_ones(schema, tmp_path):
    write(tmp_path, schema | {"files": {"a": {}}})
    assert manifest.read(tmp_path)["files"] == {"a": {}}
    write(tmp_path, schema)
    assert manifest.read(tmp_path)["files"] == {}


@pytest.mark.parametrize("schema", [manifest.SCHEMA + 1, -1, "1", 1.0, None, True])
def test_later_versions(schema, tmp_path):
    write(tmp_path, {"schema": schema, "files": {}})
    with pytest.raises(manifest.LaterVersion, match=f"this version of i2p_tf reads format {manifest.SCHEMA}"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [[], None, 1, {"files": []}])
def test_what_is_none(content, tmp_path):
    write(tmp_path, content)
    with pytest.raises(InputError, match="damaged or cannot be read"):
        manifest.read(tmp_path)
