"""results.json of earlier versions, in the words of this one."""

import json
import pathlib
import shutil

import pytest

from i2p_tf import results
from i2p_tf.report import document, record
from i2p_tf.run_dir import RunDir

RECORDED = sorted((pathlib.Path(__file__).parents[1] / "docs" / "results").rglob("*.json"))


def test_former_words_are_translated_wherever_they_stand():
    former = {
        "schema": 1,
        "confusion": {"classes": ["judge", "floors"]},
        "attacks": {"as_is": {"control": False, "accuracy_on_restored": 0.4}, "control_identity": {"control": True}},
        "floors": {"mean_image": {"accuracy_on_restored": 0.1, "control": False}},
        "attack_suite": {"judge": {"n": 5}, "failed_controls": [], "strongest": {"accuracy_on_restored": {}}},
    }
    assert results.translated(former) == {
        "schema": 2,
        "confusion": {"classes": ["judge", "floors"]},  # names of the data, not of this form
        "attacks": {
            "as_is": {"sanity_check": False, "accuracy_on_reconstructed": 0.4},
            "sanity_check_identity": {"sanity_check": True},
        },
        "prior_only": {"mean_image": {"accuracy_on_reconstructed": 0.1, "sanity_check": False}},
        "attack_suite": {
            "evaluation_classifier": {"n": 5},
            "failed_sanity_checks": [],
            "strongest": {"accuracy_on_reconstructed": {}},
        },
    }


def test_words_of_this_version_stay():
    present = {"schema": results.SCHEMA, "attacks": {"control_of_mine": {}}}
    assert results.translated(present) == present and results.translated({}) == {}


def test_a_folder_is_found_by_its_former_name():
    assert results.former_name("sanity_check_identity") == "control_identity"
    assert results.former_name("prior_only_label_only") == "floor_label_only"
    assert results.former_name("as_is") == "as_is"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_is_recorded_still_renders(path, write_run):
    run_dir = write_run(attacked=False)
    written = json.loads(path.read_text())
    shutil.copy(path, run_dir.results)
    read = record.read(run_dir.path)
    assert read.results["schema"] == results.SCHEMA and read.attacked
    assert read.results["prior_only"] and len(read.results["attacks"]) == len(written["attacks"])
    assert document.report([read]).title


def test_pictures_of_an_earlier_version_are_found(write_run):
    run_dir = RunDir(write_run().path)
    run_dir.attack("quick", "prior_only_label_only").rename(run_dir.attack("quick", "floor_label_only"))
    assert record.read(run_dir.path).samples("prior_only_label_only") is not None
