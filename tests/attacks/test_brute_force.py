import math

import numpy as np
import pytest

from i2p_tf import encryption
from i2p_tf.attacks.kinds import brute_force

BITS = 5


def smooth_pictures(count=3, size=16):
    ramp = np.linspace(0, 200, size)
    pictures = ramp[:, np.newaxis, np.newaxis] * [1.0, 0.8, 0.5] + np.zeros((size, size, 3))
    return np.uint8([pictures + 10 * index for index in range(count)])


@pytest.mark.parametrize("name", encryption.SCHEMES)
def test_the_smoothest_decryption_of_a_smooth_picture_is_the_picture(name):
    result = brute_force.brute_force(name, smooth_pictures(), BITS, 0, lambda line: None)
    assert result["recognised"] == 1.0 and result["chance"] == 1 / 32 and result["method"] == name


@pytest.mark.parametrize("name", encryption.SCHEMES)
def test_a_picture_of_noise_is_not_recognised(name):
    noise = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    assert brute_force.brute_force(name, noise, BITS, 0, lambda line: None)["recognised"] < 0.5


def test_key_spaces_by_hand():
    """At 8x8 there are four blocks and 64 pixels."""
    block = 96 + math.log2(math.factorial(96))
    assert brute_force.choices_bits("le", 8) == pytest.approx(block)
    assert brute_force.choices_bits("ele", 8) == pytest.approx(4 * block + math.log2(24))
    assert brute_force.choices_bits("pe", 8) == pytest.approx(64 * math.log2(8 * 6))
    assert brute_force.choices_bits("etc", 8) == pytest.approx(4 * math.log2(4 * 2 * 2 * 6) + math.log2(24))


def test_no_key_space_is_larger_than_that_of_the_key_file():
    small, large = (
        brute_force.brute_force("etc", smooth_pictures(1, size), BITS, 0, lambda line: None)["key_bits"]
        for size in (8, 32)
    )
    assert small == pytest.approx(brute_force.choices_bits("etc", 8)) and large == 256


def test_total_variation_by_hand():
    images = np.zeros((2, 3, 3, 1), np.uint8)
    images[0, 1, 1] = 200
    assert brute_force.total_variation(images).tolist() == [800, 0]
