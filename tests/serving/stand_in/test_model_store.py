"""Which versions are in service, as folders come and go; with a loader that loads nothing."""

import asyncio
import json
import shutil

import pytest

from i2p_tf.serving.integrity import Damaged
from i2p_tf.serving.model_config import ModelConfig
from i2p_tf.serving.stand_in import responses, rest_api
from i2p_tf.serving.stand_in.errors import ServingError
from i2p_tf.serving.stand_in.model_store import ModelStore


@pytest.fixture
def base(tmp_path):
    for version in (1, 2, 3):
        (tmp_path / "classifier" / str(version)).mkdir(parents=True)
    return tmp_path / "classifier"


def run(config, test):
    """Runs `test(store)` after the first look at the folders; a folder with a file `damaged` can't be loaded."""

    def load(name, version, path):
        if (path / "damaged").exists():
            raise OSError(f"damaged\nin two lines, {path}")
        if (path / "unlisted").exists() and not (path.parents[1] / "manifest.json").exists():
            raise Damaged("unlisted")
        if (path / "edited").exists():
            raise Damaged("classifier/4/edited is not the file")
        return f"{name} {version}"

    async def work():
        store = ModelStore([config], load)
        await store.refresh()
        try:
            await test(store)
        finally:
            await store.close()

    asyncio.run(work())


def states(store):
    return {version: status.state for version, status in store.status("m").items()}


def served(store, **which):
    with store.use("m", **which) as version:
        return version.servable


def test_the_newest_version_is_served(base):
    async def test(store):
        assert states(store) == {3: "AVAILABLE"} and served(store) == "m 3"
        shutil.rmtree(base / "3")
        await store.refresh()
        await asyncio.sleep(0)
        assert states(store) == {3: "END", 2: "AVAILABLE"} and served(store) == "m 2"
        (base / "3").mkdir()
        await store.refresh()
        assert served(store) == "m 3"

    run(ModelConfig("m", base), test)


def test_labelled_versions_are_served_and_no_others(base):
    async def test(store):
        assert set(states(store)) == {1, 2}
        assert served(store, label="stable") == "m 1" and served(store, label="canary") == "m 2"
        assert served(store) == "m 2" and served(store, version=1) == "m 1"
        assert set(store.status("m", label="stable")) == {1}
        with pytest.raises(ServingError, match="Unrecognized servable version label: beta"):
            served(store, label="beta")
        with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(m, 3\)"):
            served(store, version=3)

    run(ModelConfig("m", base, {"stable": 1, "canary": 2}), test)


def test_a_version_in_use_is_not_unloaded(base):
    async def test(store):
        with store.use("m") as version:
            (base / "4").mkdir()
            await store.refresh()
            await asyncio.sleep(0)
            assert states(store) == {4: "AVAILABLE", 3: "UNLOADING"}
            assert version.servable == "m 3" and served(store) == "m 4"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert states(store) == {4: "AVAILABLE", 3: "END"}

    run(ModelConfig("m", base), test)


def test_a_version_that_cannot_be_loaded_is_tried_again_when_its_folder_has_changed(base, caplog):
    async def test(store):
        (base / "4").mkdir()
        (base / "4" / "damaged").touch()
        for _ in range(3):
            await store.refresh()
        assert caplog.text.count("version 4 cannot be served: damaged in two lines, /") == 1
        assert states(store) == {4: "END", 3: "AVAILABLE"} and served(store) == "m 3"
        (base / "4" / "damaged").unlink()
        await store.refresh()
        assert states(store)[4] == "AVAILABLE" and served(store) == "m 4"

    run(ModelConfig("m", base), test)


def test_clients_are_told_of_files_of_the_export_and_not_where_it_lies(base):
    async def test(store):
        for name, error in [
            ("damaged", "it could not be loaded (OSError); the server's log has more"),
            ("edited", "classifier/4/edited is not the file"),
        ]:
            shutil.rmtree(base / "4", ignore_errors=True)
            (base / "4").mkdir()
            (base / "4" / name).touch()
            await store.refresh()
            response = responses.model_status(store, "m", 4)
            assert response.model_version_status[0].status.error_message == error
        assert served(store) == "m 3"

    run(ModelConfig("m", base), test)


def test_a_version_is_tried_again_when_the_manifest_has_changed(base):
    """bin/export writes it last, when a server may have seen the version already."""

    async def test(store):
        (base / "4").mkdir()
        (base / "4" / "unlisted").touch()
        for _ in range(2):
            await store.refresh()
        assert states(store)[4] == "END"
        (base.parent / "manifest.json").touch()
        await store.refresh()
        assert served(store) == "m 4"

    run(ModelConfig("m", base), test)


def test_a_number_that_the_protocols_cannot_send_is_no_version(base):
    async def test(store):
        assert states(store) == {10**18 - 1: "AVAILABLE"}
        assert responses.model_status(store, "m").model_version_status[0].version == 10**18 - 1

    for name in ("99999999999999999999", str(2**63), str(10**18), str(10**18 - 1), "9" * 200):
        (base / name).mkdir()
    run(ModelConfig("m", base), test)


def test_when_all_folders_are_gone_what_is_served_stays(base):
    async def test(store):
        for version in (1, 2, 3):
            (base / str(version)).rmdir()
        await store.refresh()
        assert served(store) == "m 3"

    run(ModelConfig("m", base), test)


def test_what_is_not_served_is_said(tmp_path):
    base = tmp_path / "classifier"

    async def test(store):
        (failure,) = store.failures()
        assert failure == f"m: no version in {base}"
        (base / "1").mkdir(parents=True)
        (base / "1" / "damaged").touch()
        await store.refresh()
        assert store.failures() == [f"m: version 1: damaged in two lines, {base / '1'}"]

    run(ModelConfig("m", base), test)


def test_labels_stand_in_addresses(base):
    async def test(store):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"method": "GET", "path": "/v1/models/m/labels/stable"}
        await rest_api.RestApi(store)(scope, None, send)
        (version,) = json.loads(sent[1]["body"])["model_version_status"]
        assert sent[0]["status"] == 200 and version["version"] == "1"

    run(ModelConfig("m", base, {"stable": 1}), test)
