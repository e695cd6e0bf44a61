import numpy as np
import pytest
from skimage.metrics import structural_similarity

from i2p_tf import metrics


@pytest.fixture
def pair(images):
    noise = np.random.default_rng(1).normal(0, 0.2, images.shape)
    return images, np.clip(images + noise, 0, 1).astype(np.float32)


def test_ssim_is_that_of_scikit_image(pair):
    expected = [
        structural_similarity(
            a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
        )
        for a, b in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(np.asarray(metrics.ssim(*pair)), expected, atol=1e-5)


def test_ssim_of_equal_and_of_inverted_images(images):
    np.testing.assert_allclose(np.asarray(metrics.ssim(images, images)), 1.0, atol=1e-5)
    assert np.all(np.asarray(metrics.ssim(images, 1.0 - images)) < 0)


def test_psnr_by_hand():
    black = np.zeros((2, 4, 4, 3), np.float32)
    grey = np.full_like(black, 0.1)
    np.testing.assert_allclose(np.asarray(metrics.psnr(black, grey)), [20.0, 20.0], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(metrics.psnr(black, black)), [100.0, 100.0], rtol=1e-5)


def test_what_can_not_be_compared_is_refused(images):
    with pytest.raises(ValueError, match="one shape"):
        metrics.psnr(images, images[:1])
    with pytest.raises(ValueError, match="at least 11x11"):
        metrics.ssim(images[:, :8, :8], images[:, :8, :8])
