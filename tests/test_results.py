"""results.json of earlier versions, in the words of this one."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from i2p_tf import results, results_check
from i2p_tf.errors import InputError
from i2p_tf.former_results import former_name, translated
from i2p_tf.report import document, record
from i2p_tf.run_dir import RunDir

DOCS = pathlib.Path(__file__).parents[1] / "docs" / "results"
RECORDED = [
    path for path in sorted(DOCS.rglob("*.json")) if path.parent.name != "tradeoff"
]  # these have a form of their own


def test_former_words_are_translated_wherever_they_stand():
    former = {
        "schema": 1,
        "confusion": {"classes": ["judge", "floors"]},
        "attacks": {"as_is": {"control": False, "accuracy_on_restored": 0.4}, "control_identity": {"control": True}},
        "floors": {"mean_image": {"accuracy_on_restored": 0.1, "control": False}},
        "attack_suite": {"judge": {"n": 5}, "failed_controls": [], "strongest": {"accuracy_on_restored": {}}},
    }
    assert translated(former) == {
        "schema": 1,
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


def test_words_of_this_version_stay(tmp_path):
    present = {"schema": results.SCHEMA, "attacks": {"control_of_mine": {}}}
    (tmp_path / "results.json").write_text(json.dumps(present))
    assert results.read(tmp_path / "results.json") == present


def test_a_folder_is_found_by_its_former_name():
    assert former_name("sanity_check_identity") == "control_identity"
    assert former_name("prior_only_label_only") == "floor_label_only"
    assert former_name("as_is") == "as_is"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_is_recorded_still_renders(path, write_run):
    run_dir = write_run(attacked=False)
    written = json.loads(path.read_text())
    shutil.copy(path, run_dir.results)
    read = record.read(run_dir.path)
    assert read.results["schema"] == results.SCHEMA and read.attacked == ("attacks" in written)
    if read.attacked:
        assert read.results["prior_only"] and len(read.results["attacks"]) == len(written["attacks"])
    assert document.report([read]).title


def test_pictures_of_an_earlier_version_are_found(write_run):
    run_dir = RunDir(write_run().path)
    run_dir.attack("quick", "prior_only_label_only").rename(run_dir.attack("quick", "floor_label_only"))
    assert record.read(run_dir.path).samples("prior_only_label_only") is not None


def test_a_summary_by_hand():
    values = np.arange(101.0) ** 2
    assert results.summary(values) == {"mean": 3350.0, "median": 2500.0, "p95": 9025.0, "max": 10_000.0}


def test_a_file_of_an_earlier_version_is_read_and_one_of_a_later_is_refused(tmp_path):
    path = tmp_path / "results.json"
    assert results.read(path) == {}
    path.write_text(json.dumps({"accuracy": {"protected": 0.9, "n": 10}}))
    results_check.check(results.read(path))
    path.write_text(json.dumps({"schema": results.SCHEMA + 1}))
    with pytest.raises(InputError, match="this version of i2p_tf reads format 2"):
        results.read(path)


def test_a_metric_is_a_mean_or_itself():
    result = {"ssim": {"mean": 0.5, "median": 0.4, "p95": 0.9, "max": 1.0}, "reidentification_top1": 0.25}
    assert [results.value(result, key) for key in result] == [0.5, 0.25]


def test_ways_of_travelling_are_read_without_their_n():
    assert results.channels({"channels": {"png": 0.9, "jpeg_90": 0.8, "n": 5}}) == {"png": 0.9, "jpeg_90": 0.8}


@pytest.mark.parametrize("n", [0, True, None, "5", float("nan")])
def test_what_is_divided_by_is_above_zero(n):
    with pytest.raises(ValueError, match="accuracy.n is not a number above 0"):
        results_check.check({"accuracy": {"protected": 0.9, "n": n}})


def test_what_the_evaluation_writes_has_the_form(write_run):
    results_check.check(write_run().read_results())
