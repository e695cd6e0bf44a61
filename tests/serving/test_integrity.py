"""Exports against their manifests; no TensorFlow."""

import hashlib
import json
import subprocess
import sys

import pytest

from i2p_tf.serving import integrity
from i2p_tf.serving.integrity import Damaged
from i2p_tf.serving.stand_in import server

FILES = [
    "MODEL_CARD.md",
    "classifier/1/assets/labels.txt",
    "classifier/1/saved_model.pb",
    "classifier/1/variables/variables.index",
    "transform/saved_model.pb",
    "transform_int8.tflite",
]
OTHER = "classifier/2/saved_model.pb"


@pytest.fixture
def export(tmp_path):
    for name in [*FILES, OTHER]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    write_manifest(tmp_path, [*FILES, OTHER])
    return tmp_path


def write_manifest(export, names):
    digests = {name: {"sha256": hashlib.sha256(name.encode()).hexdigest()} for name in names}
    (export / "manifest.json").write_text(json.dumps({"files": digests}))


def verify(export):
    return integrity.verify(export / "classifier", 1)


def test_an_export_as_it_was_written(export):
    assert verify(export) == []


@pytest.mark.parametrize("name", FILES)
def test_one_bit_of_any_file(name, export):
    content = bytearray((export / name).read_bytes())
    content[len(content) // 2] ^= 1
    (export / name).write_bytes(content)
    with pytest.raises(Damaged, match=f"^{name} is not the file"):
        verify(export)
    (export / name).unlink()
    with pytest.raises(Damaged, match=f"^{name} is missing"):
        verify(export)


def test_another_version_is_its_own_matter(export):
    (export / OTHER).write_text("damaged")
    assert verify(export) == []
    (export / OTHER).unlink()
    assert verify(export) == []


def test_a_file_that_was_added_to_a_version(export):
    (export / "classifier" / "1" / "assets.extra").mkdir()
    (export / "classifier" / "1" / "assets.extra" / "more").touch()
    with pytest.raises(Damaged, match=r"^classifier/1/assets.extra/more is not listed"):
        verify(export)


def test_a_version_behind_a_link_is_checked_as_well(export):
    (export / "elsewhere").mkdir()
    (export / "classifier" / "1").rename(export.parent / f"{export.name}-1")
    (export / "classifier" / "1").symlink_to(export.parent / f"{export.name}-1")
    assert verify(export) == []
    (export / "classifier" / "1" / "saved_model.pb").write_text("edited")
    with pytest.raises(Damaged, match=r"^classifier/1/saved_model.pb is not the file"):
        verify(export)


def test_a_manifest_that_lacks_files_is_accepted_and_says_which(export):
    write_manifest(export, ["transform_int8.tflite"])
    unchecked = [name for name in FILES if name != "transform_int8.tflite"]
    assert verify(export) == unchecked
    line = integrity.warning(unchecked)
    assert "no SHA-256 of MODEL_CARD.md, classifier/1/assets/labels.txt" in line and "and 2 more" in line
    (export / "manifest.json").write_text("{}")
    assert verify(export) == FILES


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"files": []}', b'{"files": {"a": 1}}', b'{"a": %s}' % (b"9" * 5000)],
)
def test_a_damaged_manifest(content, export):
    (export / "manifest.json").write_bytes(content)
    with pytest.raises(Damaged, match=r"^manifest.json cannot be read"):
        verify(export)


def test_the_manifest_of_a_later_version(export):
    (export / "manifest.json").write_text('{"schema": 2, "files": {}}')
    with pytest.raises(Damaged, match="has format 2; this version of i2p_tf reads format 1"):
        verify(export)


def test_the_stand_in_checks_before_it_loads_and_warns_of_what_it_cannot_check(export, caplog):
    (export / "classifier" / "1" / "saved_model.pb").write_text("edited")
    with pytest.raises(Damaged, match="saved_model.pb"):
        server._load("m", 1, export / "classifier" / "1")
    assert not caplog.text
    write_manifest(export, [])
    with pytest.raises(Exception) as caught:  # noqa: B017, the file is no SavedModel
        server._load("m", 1, export / "classifier" / "1")
    assert not isinstance(caught.value, Damaged) and "manifest.json has no SHA-256 of MODEL_CARD.md" in caplog.text


def test_tf_serving_is_not_started_on_a_damaged_export(export, tmp_path_factory):
    programs = tmp_path_factory.mktemp("programs")
    (programs / "tensorflow_model_server").write_text(f"#!/bin/sh\ntouch {programs}/started\n")
    (programs / "tensorflow_model_server").chmod(0o755)
    command = [sys.executable, "-m", "i2p_tf.cli.serve", f"--export={export}", "--rest_port=0", "--grpc_port=0"]
    (export / OTHER).write_text("edited")  # the newest
    environment = local_environment(f"{programs}:/usr/bin:/bin")
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and not (programs / "started").exists()
    assert f"version 2: {OTHER} is not the file" in result.stderr.splitlines()[-1]


def local_environment(path):
    import os

    return os.environ | {"PATH": path}
