"""Several runs as one, and the picture of it."""

import numpy as np
import pytest
from invented import curve

from i2p_tf import forms
from i2p_tf.tradeoff import picture
from i2p_tf.tradeoff.average import average
from i2p_tf.tradeoff.form import Row, Tradeoff


def test_it_has_the_form_that_is_documented():
    assert set(curve()) == Tradeoff.__required_keys__ and set(curve()["rows"][0]) == Row.__required_keys__
    forms.require(curve(), Tradeoff, "")


def test_a_mean_has_its_range_and_its_seeds():
    mean = average([curve(0), curve(1, better=0.02), curve(2, better=0.01)])
    row = mean["rows"][0]
    assert row["bits"] == 64 and row["seeds"] == [0, 1, 2]
    assert row["protected"] == pytest.approx(0.83)
    assert row["range"]["gain"] == pytest.approx([0.02, 0.04])
    assert len(row["attacks"]["dense"]) == 3


def test_what_one_run_lacks_has_no_mean():
    row = average([curve(0), curve(1, leakage=None)])["rows"][0]
    assert row["leakage"] is None and "leakage" not in row["range"]


def test_sanity_checks_that_fail_in_one_run_fail_in_the_mean():
    broken = curve(1)
    broken["sanity_checks"]["failed"] = ["constant: too good"]
    assert average([curve(0), broken])["sanity_checks"]["failed"] == ["constant: too good"]


@pytest.mark.parametrize("rates", [(64,), (8, 64, 512)])
def test_a_picture_shows_what_is_measured_in_both_panels(rates):
    rows = average([curve(0, rates=rates), curve(1, better=0.03, rates=rates)])["rows"]
    pixels = np.asarray(picture.draw(rows))
    measured = (pixels == picture.MEASURED).all(axis=2)
    for half in (measured[picture.TOP :, : picture.WIDTH // 2], measured[picture.TOP :, picture.WIDTH // 2 :]):
        assert half.sum() > 100 * len(rates)  # a dot has about 150


def test_a_line_that_is_not_known_is_left_out():
    rows = [row | {"device_only": None} for row in curve()["rows"]]
    pixels = np.asarray(picture.draw(rows))[picture.TOP :]
    counts = [(pixels == colour).all(axis=2)[:, : picture.WIDTH // 2].sum() for colour in picture.LINES]
    assert counts[0] > 500 and counts[1] == 0
