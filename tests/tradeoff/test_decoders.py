"""Attackers' networks: what they see, what they learn from codes that tell, and from codes that don't."""

import keras
import numpy as np
import pytest

from i2p_tf import drawing
from i2p_tf.models import reader
from i2p_tf.recipe import Recipe
from i2p_tf.tradeoff import codes, decoders

RECIPE = Recipe(epochs=1, batch_size=32, learning_rate=0.1)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(decoders, "HIDDEN_UNITS", (64,))


def examples(n=96):
    """Codes whose first four elements are the brightness of their pictures."""
    random = np.random.default_rng(0)
    symbols = random.integers(0, 4, (n, drawing.ELEMENTS), np.int8)
    symbols[:, :4] = symbols[:, :1]
    images = np.broadcast_to(np.uint8(symbols[:, 0] * 60 + 20)[:, None, None, None], (n, 16, 16, 3)).copy()
    images[:, :8] //= 2
    return symbols, images


def test_what_arrives_is_what_the_cloud_reads():
    symbols, _ = examples(3)
    elements = np.float32(symbols) * 2 / 3 - 1
    arrived = codes.sent(symbols, [4, 32, 256])
    np.testing.assert_allclose(arrived, reader.cut(elements, np.array([4, 32, 256])), atol=1e-6)


def test_all_rates_are_trained_at_once_and_none_is_cut_at_the_end():
    layer, ones = decoders.RandomRates(), np.ones((14, 2 * drawing.ELEMENTS), np.float32)
    kept = np.asarray(layer(ones, training=True)).sum(axis=1)
    np.testing.assert_array_equal(kept, 2 * list(drawing.BITS))
    np.testing.assert_array_equal(layer(ones, training=False), ones)


@pytest.mark.parametrize("name", decoders.DECODERS)
@pytest.mark.parametrize("size", [16, 24])
def test_a_decoder_begins_as_the_mean_picture_and_can_be_saved(name, size, tmp_path):
    mean = np.random.default_rng(0).random((size, size, 3), np.float32)
    network = decoders.DECODERS[name](mean)
    seen = codes.sent(examples(2)[0], 256)
    np.testing.assert_allclose(network(seen), np.stack([mean, mean]), atol=1e-6)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(again(seen), network(seen), atol=1e-6)


@pytest.mark.slow
def test_a_decoder_restores_what_codes_tell():
    symbols, images = examples()
    network = decoders.trained("dense", symbols, images, RECIPE, 60, 0, lambda line: None)
    guesses = decoders.restored(network, symbols, 8)
    mean = np.broadcast_to(np.uint8(images.mean(axis=0)), images.shape)
    error = {"decoder": guesses, "mean": mean}
    error = {name: np.abs(np.float32(guess) - images).mean() for name, guess in error.items()}
    assert error["decoder"] < 0.75 * error["mean"]
