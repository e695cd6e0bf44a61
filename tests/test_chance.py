import numpy as np
import pytest

from i2p_tf.chance import is_at_chance, warnings


def test_naming_the_most_frequent_class_is_chance():
    labels = np.array([0] * 90 + [1] * 10)
    assert is_at_chance(np.zeros(100, int), labels, 2)


def test_reading_a_little_more_than_chance_is_not_enough_of_few_images():
    labels = np.arange(40) % 4
    predicted = np.where(np.arange(40) < 14, labels, (labels + 1) % 4)  # 0.35, chance is 0.25 +- 0.068
    assert is_at_chance(predicted, labels, 4)
    assert not is_at_chance(np.tile(predicted, 10), np.tile(labels, 10), 4)


def test_classes_without_images_do_not_count():
    labels = np.array([0, 1] * 20)
    assert not is_at_chance(labels, labels, 5)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"plain": True, "protected": True, "chance": 0.25}, "0.2600 of the plain images and 0.2400 of the protected"),
        ({"protected": True, "chance": 0.25}, "is right on 0.2400 of the protected images"),
    ],
)
def test_a_training_that_taught_nothing_is_named(found, named):
    line = warnings({"accuracy": {"plain": 0.26, "protected": 0.24, "n": 50}, "at_chance": found})[0]
    assert named in line and "a guess on 0.2500" in line


def test_others_have_no_warning():
    assert not warnings({}) and not warnings({"at_chance": {"plain": False, "protected": False, "chance": 0.1}})
