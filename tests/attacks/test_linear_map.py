"""Whatever only moves and inverts symbols is undone; what is not there is not invented."""

import numpy as np
import pytest

from i2p_tf import encryption, inference
from i2p_tf.attacks.kinds import linear_map

pytestmark = pytest.mark.slow  # loads TensorFlow

SIZE = 8
KEY = bytes(range(encryption.KEY_BYTES))


@pytest.fixture(scope="module")
def noise():
    """Images that nothing can be guessed of: 1,000 to learn from, 50 to reconstruct."""
    images = np.random.default_rng(0).integers(0, 256, (1_050, SIZE, SIZE, 3), np.uint8)
    return images[:1_000], images[1_000:]


def reconstructed(protect, noise, halves=False, say=lambda line: None):
    known, plain = noise
    return linear_map.reconstruct((protect(known), known), protect(plain), halves, say)


@pytest.mark.parametrize("method", encryption.SCHEMES)
def test_every_keyed_method_is_undone(method, noise):
    scheme = encryption.scheme(method, KEY, SIZE)
    guesses = reconstructed(scheme.encrypt, noise, halves=encryption.SCHEMES[method].splits_bytes)
    assert np.mean(guesses == noise[1]) > 0.99


def test_halves_are_needed_where_halves_are_moved(noise):
    guesses = reconstructed(encryption.scheme("le", KEY, SIZE).encrypt, noise)
    assert np.mean(np.abs(np.int16(guesses) - noise[1])) > 20


def test_nothing_but_the_mean_comes_out_of_a_constant(noise):
    guesses = reconstructed(lambda images: np.full_like(images, 7), noise)
    mean = inference.to_uint8(noise[0][:900].mean(axis=0) / 255.0)
    assert np.abs(np.int16(guesses) - mean).max() <= 1


def test_the_held_out_pairs_choose_a_penalty_against_noise(noise):
    """Fewer pairs than values, and most of what they say is noise: the smallest penalty would be the worst."""

    def noisy(images):
        return np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)

    lines = []
    guesses = reconstructed(noisy, (noise[0][:150], noise[1]), say=lines.append)
    errors = [float(line.split()[-1]) for line in lines]
    assert errors == sorted(errors, reverse=True) and errors[0] > errors[-1]
    assert np.mean(np.square(guesses / 255.0 - noise[1] / 255.0)) < 1.5 * errors[-1]
