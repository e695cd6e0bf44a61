"""Calibration, rejection and confusion, by hand."""

import numpy as np
import pytest

from i2p_tf import confidence

CONFIDENCES = np.array([0.95, 0.95, 0.55, 0.55, 0.55])
CORRECT = np.array([True, False, True, False, False])


def test_the_calibration_error_is_the_weighted_distance_of_each_bin():
    # 2 of 5 say 0.95 and are right half the time; 3 say 0.55 and are right a third of the time.
    expected = 2 / 5 * (0.95 - 0.5) + 3 / 5 * (0.55 - 1 / 3)
    assert confidence.expected_calibration_error(CONFIDENCES, CORRECT) == pytest.approx(expected)


def test_a_bin_holds_its_upper_bound():
    edge = 3 / confidence.BINS
    apart = confidence.expected_calibration_error(np.array([edge, edge + 0.01]), np.array([True, False]))
    together = confidence.expected_calibration_error(np.array([edge + 0.001, edge + 0.011]), np.array([True, False]))
    assert apart == pytest.approx((1 - edge + edge + 0.01) / 2)
    assert together == pytest.approx((1 - 2 * edge - 0.012) / 2)
    assert confidence.expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


@pytest.mark.parametrize(
    ("share", "accuracy"),
    [
        (1.0, 2 / 5),
        (0.4, 1 / 2),  # the two most confident
        (0.6, (1 + 1 / 3) / 3),  # and one of three that say the same: each counts for a third
        (0.5, (1 + 1 / 3) / 3),  # rounded up
    ],
)
def test_of_equal_confidences_each_counts_for_its_part(share, accuracy):
    order = np.random.default_rng(0).permutation(5)
    found = confidence.accuracy_of_most_confident(CONFIDENCES[order], CORRECT[order], share)
    assert found == pytest.approx(accuracy)


def test_a_share_that_floats_write_above_a_whole_number_is_that_number():
    confidences = np.arange(10) / 10
    assert confidence.accuracy_of_most_confident(confidences, confidences >= 0.3, 0.7) == 1.0


def test_constant_probabilities_reject_nothing():
    """As a codebook's: the order of images that look the same to ψ must not decide."""
    probabilities = np.tile([0.9, 0.1], (10, 1)) + np.linspace(-1e-9, 1e-9, 10)[:, np.newaxis]
    labels = np.array([0] * 7 + [1] * 3)
    measured = confidence.confidence(probabilities, labels)
    assert set(measured["rejection"].values()) == {0.7}
    assert measured["expected_calibration_error"] == pytest.approx(0.2)
    assert "accuracy_top5" not in measured


def test_top_5_where_there_are_more_classes():
    probabilities = np.array([[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 2)
    assert confidence.confidence(probabilities, np.array([4, 5]))["accuracy_top5"] == 0.5


def test_probabilities_of_large_logits():
    found = confidence.probabilities(np.array([[1000.0, 1000.0], [-1e4, 0.0]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.0, 1.0]])


def test_confusion_has_true_classes_in_rows():
    counts = confidence.confusion(np.array([0, 2, 2, 1]), np.array([0, 0, 2, 1]), 3)
    assert counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
