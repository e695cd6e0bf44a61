import re

import numpy as np
import pytest

from i2p_tf.config import Recipe
from i2p_tf.data.dataset import Dataset, Split

RECIPE = Recipe(epochs=3, batch_size=8, learning_rate=0.1)
SPLIT = Split(np.zeros((20, 16, 16, 3), np.uint8), np.zeros(20, np.int32))
DATASET = Dataset("set", ("a", "b"), SPLIT, SPLIT, SPLIT)


@pytest.fixture(scope="module")
def nets():
    """A network, a part of it, and another."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    middle = layers.Conv2D(4, 3, padding="same")(inputs)
    whole = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(middle)))
    return whole, keras.Model(inputs, middle), keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 1)])


class Holder:
    compute_dtype = "bfloat16"

    def __init__(self, network):
        self.network = network


def test_all_that_a_step_computes_is_counted_once(nets):
    from i2p_tf.training import budget

    whole, part, other = nets
    trainer = Holder(part)
    Holder.__module__ = "i2p_tf.of_the_package"
    trainer.encoder, trainer.objective = whole, Holder(other)
    assert {id(network) for network in budget.networks(trainer)} == {id(whole), id(other)}


def test_memory_grows_with_the_batch_by_the_values_of_the_layers(nets):
    from i2p_tf.training import budget

    values = 16 * 16 * 3 + 2 * 16 * 16 * 4 + 2
    assert budget.memory([nets[0]], 9) - budget.memory([nets[0]], 8) == 8 * values


def test_the_line_says_steps_minutes_and_gibibytes_and_that_they_are_guessed(nets):
    from i2p_tf.training import budget

    line = budget.line(Holder(nets[0]), "classifier", RECIPE, 3, DATASET)
    assert line.startswith("classifier: 3 epochs of 2 steps of 8 images; guessed")
    assert re.search(r"about a minute or less and 1\.0 GiB$", line)


def test_the_guess_is_of_the_precision_that_the_training_has(nets, monkeypatch):
    from i2p_tf.training import budget

    tried = []

    def conv(images, kernel, padding):
        tried.append((images.dtype.name, kernel.dtype.name))
        return np.zeros(1)

    monkeypatch.setattr(budget.ops, "conv", conv)
    budget.line(Holder(nets[0]), "classifier", RECIPE, 3, DATASET)
    assert set(tried) == {("bfloat16", "bfloat16")}


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "about a minute or less"), (240, "about 4 minutes"), (9360, "about 2.6 hours")]
)
def test_a_guess_is_as_exact_as_it_may_be(seconds, words):
    from i2p_tf.training import budget

    assert budget.about(seconds) == words
