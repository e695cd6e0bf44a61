"""The GAN on a protection that it must undo without pairs, and on one that leaves nothing."""

import numpy as np
import pytest

from i2p_tf import inference
from i2p_tf.attacks.kinds import gan
from i2p_tf.attacks.kinds.networks import wide
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import Gan

pytestmark = pytest.mark.slow


def attacked(protect, architecture, steps, digits):
    """Reconstructed images, their mean SSIM, and that of the mean image."""
    specification = Gan(architecture, Training(steps, batch_size=32, learning_rate=2e-3))
    images, plain = digits.train.images, digits.test.images[:100]
    half = len(images) // 2
    reconstructed = gan.reconstruct(
        specification, protect(images[half:]), images[:half], protect(plain), 0, lambda line: None
    )
    guess = np.uint8(images.mean(axis=0))[np.newaxis].repeat(len(plain), axis=0)
    return reconstructed, *(float(np.mean(inference.visual_distance(i, plain)["ssim"])) for i in (reconstructed, guess))


def test_negatives_become_positives_without_a_pair(digits):
    _, ssim, baseline = attacked(lambda images: 255 - images, "unet_tiny", 120, digits)
    assert ssim > baseline + 0.3


def test_nothing_comes_out_of_a_constant_and_one_seed_gives_one_result(digits, monkeypatch):
    monkeypatch.setattr(wide, "UNITS", 64)
    (reconstructed, ssim, baseline), (again, *_) = (
        attacked(lambda images: np.full_like(images, 128), "wide", 10, digits) for _ in range(2)
    )
    np.testing.assert_array_equal(reconstructed, reconstructed[:1].repeat(len(reconstructed), axis=0))
    assert ssim < baseline + 0.05
    np.testing.assert_array_equal(reconstructed, again)
