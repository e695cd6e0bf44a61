"""The temperature at which answers are right as often as they say."""

import keras
import numpy as np
import pytest

from i2p_tf import calibration, confidence, drawing, inference
from i2p_tf.models.reader import reader

CLASSES = 3


def logits_and_labels(n=20_000):
    """Answers that keep what they say: each label is drawn by its probabilities."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (n, CLASSES))
    chances = confidence.probabilities(logits).cumsum(axis=1)
    return logits, (random.random((n, 1)) > chances).sum(axis=1).clip(0, CLASSES - 1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6])
def test_answers_that_say_too_much_or_too_little_are_set_right(factor):
    logits, labels = logits_and_labels()
    assert calibration.temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_the_temperature_stays_in_its_bounds_where_all_or_nothing_is_right():
    logits = np.eye(CLASSES)[[0, 1, 2]] * 0.01
    assert calibration.temperature(logits, np.array([0, 1, 2])) == pytest.approx(calibration.LOWEST)
    assert calibration.temperature(logits * 1e4, np.array([1, 2, 0])) == pytest.approx(calibration.HIGHEST)


def test_a_calibrated_reader_gives_the_same_answers_and_is_right_as_often_as_it_says():
    keras.utils.set_random_seed(0)
    network = reader(32, CLASSES)
    symbols = np.random.default_rng(0).integers(0, 4, (60, drawing.ELEMENTS)).astype(np.int8)
    drawings = drawing.draw(symbols, 32)
    last = network.get_layer("code_reader").get_layer("logits")
    kernel = last.get_weights()[0] * 2 / inference.logits(network, drawings).std()
    last.set_weights([kernel, np.array([0.1, 0.0, -0.1], np.float32)])
    before = inference.logits(network, drawings)
    labels = np.where(np.arange(60) % 5 < 3, before.argmax(axis=1), (before.argmax(axis=1) + 1) % CLASSES)
    calibration.calibrate(network, drawings, labels)
    after = inference.logits(network, drawings)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    assert confidence.probabilities(after).max(axis=1).mean() == pytest.approx(37 / 62, abs=1e-3)
    assert confidence.probabilities(before).max(axis=1).mean() > 0.7
