"""Pictures drawn by a flow, for protections whose best answer is known."""

import numpy as np
import pytest

from i2p_tf import inference
from i2p_tf.attacks import sanity_checks
from i2p_tf.attacks.kinds import flow
from i2p_tf.attacks.kinds.networks import wide
from i2p_tf.attacks.rows import ATTACKS
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import Flow
from i2p_tf.attacks.target import Target

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(wide, "UNITS", 256)


def reconstructed(protect, digits, steps, candidates=2, architecture="wide"):
    specification = Flow(architecture, Training(steps, batch_size=32), candidates=candidates, steps=4, images=60)
    target = Target(protect, digits.train, digits.test, None)
    guesses, more = flow.attack(specification, target, 0, lambda line: None)
    assert guesses.dtype == np.uint8 and guesses.shape == (60, 16, 16, 3) and set(more) == {"losses"}
    return guesses


def mean_ssim(guesses, digits):
    return float(np.mean(inference.visual_distance(guesses, digits.test.images[: len(guesses)])["ssim"]))


def test_its_sanity_checks_behave(digits):
    """As in a suite, but for `shifted`, which takes more training."""
    guess = np.uint8(np.rint(digits.train.images.mean(axis=0)))[np.newaxis].repeat(60, axis=0)
    baseline = mean_ssim(guess, digits)
    assert set(ATTACKS["flow"].sanity_checks) == {"identity", "shifted", "constant"}
    for name in ("identity", "constant"):
        ssim = mean_ssim(reconstructed(sanity_checks.SANITY_CHECKS[name].protect, digits, steps=20), digits)
        assert sanity_checks.misbehaviour(name, ssim, baseline, "flow", draws=True) is None


def test_training_finds_what_a_blur_hides(digits):
    def blur(images):
        coarse = images.reshape(len(images), 4, 4, 4, 4, 3).mean(axis=(2, 4))
        return np.uint8(coarse.repeat(4, axis=1).repeat(4, axis=2))

    blurred = mean_ssim(blur(digits.test.images), digits)
    assert mean_ssim(reconstructed(blur, digits, steps=80), digits) > blurred + 0.02


def test_the_candidate_whose_protection_fits_best_is_chosen(digits):
    """More candidates agree better with what was sent; and one seed gives one result."""

    def half(images):
        return np.concatenate([images[:, :8], np.full_like(images[:, 8:], 128)], axis=1)

    seen = half(digits.test.images[:60])

    def distance(candidates):
        guesses = reconstructed(half, digits, 1, candidates)
        return guesses, np.mean(np.square(np.float32(half(guesses)) - seen), axis=(1, 2, 3))

    (one, of_one), (again, _), (_, of_many) = distance(1), distance(1), distance(4)
    assert np.all(of_many <= of_one) and np.mean(of_many) < np.mean(of_one)
    np.testing.assert_array_equal(one, again)


def test_a_picture_that_is_drawn_may_be_worse_than_the_mean_image_but_not_better():
    assert sanity_checks.misbehaviour("constant", 0.2, 0.3, "flow", draws=True) is None
    assert sanity_checks.misbehaviour("constant", 0.2, 0.3, "flow") is not None
    assert sanity_checks.misbehaviour("constant", 0.33, 0.3, "flow", draws=True).startswith("flow_constant gives")
