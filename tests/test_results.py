import json

import numpy as np
import pytest

from i2p_tf import results
from i2p_tf.errors import InputError


def test_a_summary_by_hand():
    values = np.arange(101.0) ** 2
    assert results.summary(values) == {"mean": 3350.0, "median": 2500.0, "p95": 9025.0, "max": 10_000.0}


def test_a_file_of_an_earlier_version_is_read_and_one_of_a_later_is_refused(tmp_path):
    path = tmp_path / "results.json"
    assert results.read(path) == {}
    path.write_text(json.dumps({"accuracy": {"protected": 0.9, "n": 10}}))
    results.check(results.read(path))
    path.write_text(json.dumps({"schema": results.SCHEMA + 1}))
    with pytest.raises(InputError, match="this version of i2p_tf reads format 1"):
        results.read(path)


def test_a_metric_is_a_mean_or_itself():
    result = {"ssim": {"mean": 0.5, "median": 0.4, "p95": 0.9, "max": 1.0}, "reidentification_top1": 0.25}
    assert [results.value(result, key) for key in result] == [0.5, 0.25]


def test_ways_of_travelling_are_read_without_their_n():
    assert results.channels({"channels": {"png": 0.9, "jpeg_90": 0.8, "n": 5}}) == {"png": 0.9, "jpeg_90": 0.8}


@pytest.mark.parametrize("n", [0, True, None, "5", float("nan")])
def test_what_is_divided_by_is_above_zero(n):
    with pytest.raises(ValueError, match="accuracy.n is not a number above 0"):
        results.check({"accuracy": {"protected": 0.9, "n": n}})


def test_what_the_evaluation_writes_has_the_form(write_run):
    results.check(write_run().read_results())
