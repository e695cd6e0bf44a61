import numpy as np
import pytest

from i2p_tf.attacks import perceptual
from i2p_tf.attacks.kinds import inverse_network
from i2p_tf.attacks.kinds.networks import wide
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import InverseNetwork

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(perceptual, "TRAINING", Training(steps=60, batch_size=32))
    monkeypatch.setattr(wide, "UNITS", 256)


def blur(images):
    coarse = images.reshape(len(images), 4, 4, 4, 4, 3).mean(axis=(2, 4))
    return np.uint8(coarse.repeat(4, axis=1).repeat(4, axis=2))


def test_lost_strokes_cost_more_than_pixels_say(digits):
    loss = perceptual.mse_perceptual(digits.train.images, 0, lambda line: None)
    plain = np.float32(digits.test.images[:50]) / 255
    blurred = np.float32(blur(digits.test.images[:50])) / 255
    error = np.mean(np.square(plain - blurred))
    darker = plain * (1 - np.sqrt(error / np.mean(np.square(plain))))  # as far away in pixels
    assert float(loss(plain, plain)) < 1e-5
    assert float(loss(plain, blurred)) > float(loss(plain, darker)) > error


def test_an_inverse_network_learns_with_it(digits):
    from i2p_tf import inference

    specification = InverseNetwork("wide", "mse_perceptual", Training(steps=60, batch_size=32))
    known, plain = (blur(digits.train.images), digits.train.images), digits.test.images[:100]
    reconstructed, _ = inverse_network.reconstruct(specification, known, blur(plain), None, 0, lambda line: None)
    before, after = (inference.visual_distance(images, plain)["ssim"].mean() for images in (blur(plain), reconstructed))
    assert after > before + 0.05
