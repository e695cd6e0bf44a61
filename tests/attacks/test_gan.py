"""The GAN on a protection that it must undo without pairs, and on one that leaves nothing."""

import numpy as np
import pytest

from i2p_tf import evaluation
from i2p_tf.attacks import gan
from i2p_tf.attacks.suite import Gan, Training

pytestmark = pytest.mark.slow


def mean_ssim(protect, steps, digits, seed=0):
    """Of the restored images, and of the mean image."""
    specification = Gan("unet_tiny", Training(steps, batch_size=32, learning_rate=1e-3))
    images, plain = digits.train.images, digits.test.images[:100]
    half = len(images) // 2
    restored = gan.restore(
        specification, protect(images[half:]), images[:half], protect(plain), seed, lambda line: None
    )
    guess = np.uint8(images.mean(axis=0))[np.newaxis].repeat(len(plain), axis=0)
    return restored, *(float(np.mean(evaluation.visual_distance(i, plain)["ssim"])) for i in (restored, guess))


def test_negatives_become_positives_without_a_pair(digits):
    _, ssim, floor = mean_ssim(lambda images: 255 - images, 80, digits)
    assert ssim > floor + 0.3


def test_nothing_comes_out_of_a_constant_and_the_same_seed_gives_the_same(digits):
    runs = [mean_ssim(lambda images: np.full_like(images, 128), 10, digits) for _ in range(2)]
    restored, ssim, floor = runs[0]
    assert ssim < floor + 0.1
    np.testing.assert_array_equal(restored, runs[1][0])
