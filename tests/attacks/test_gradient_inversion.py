"""Descent on protections whose best answer is known."""

import numpy as np
import pytest

from i2p_tf import inference
from i2p_tf.attacks import sanity_checks
from i2p_tf.attacks.kinds import gradient_inversion
from i2p_tf.attacks.rows import ATTACKS
from i2p_tf.attacks.specifications import GradientInversion
from i2p_tf.tables import load

pytestmark = pytest.mark.slow

BRIEF = GradientInversion(images=20, steps=100)


def reconstructed(name, digits):
    protect = sanity_checks.SANITY_CHECKS[name].protect
    known = protect(digits.train.images[:200]), digits.train.images[:200]
    seen = protect(digits.test.images[: BRIEF.images])
    transform = load(sanity_checks.SANITY_CHECKS[name].transform)
    guess = gradient_inversion.reconstruct(BRIEF, transform, known, seen, lambda line: None)
    assert guess.dtype == np.uint8 and guess.shape == seen.shape
    return guess


@pytest.mark.parametrize("name", ATTACKS["gradient_inversion"].sanity_checks)
def test_the_differentiable_sanity_checks_are_the_sanity_checks(name, digits):
    plain = digits.test.images[:5]
    differentiable = load(sanity_checks.SANITY_CHECKS[name].transform)(np.float32(plain) / 255)
    np.testing.assert_array_equal(inference.to_uint8(differentiable), sanity_checks.SANITY_CHECKS[name].protect(plain))


@pytest.mark.parametrize("name", ["identity", "shifted"])
def test_what_can_be_undone_is_undone(name, digits):
    ssim = inference.visual_distance(reconstructed(name, digits), digits.test.images[: BRIEF.images])["ssim"]
    assert np.mean(ssim) >= sanity_checks.SANITY_CHECKS[name].at_least


def test_nothing_comes_out_of_a_constant(digits):
    guess = reconstructed("constant", digits)
    np.testing.assert_array_equal(guess, guess[:1].repeat(len(guess), axis=0))
    assert np.max(np.abs(guess[0] - digits.train.images[:200].mean(axis=0))) <= 4  # of 255: the prior trembles


def test_longer_descent_comes_closer_through_a_network(trained_run, digits):
    import dataclasses
    import functools

    transform = inference.load_network(trained_run.transform)
    known = inference.protect(transform, digits.train.images[:200]), digits.train.images[:200]
    seen = inference.protect(transform, digits.test.images[:20])

    def distance(steps):
        attack = dataclasses.replace(BRIEF, steps=steps)
        differentiable = functools.partial(transform, training=False)
        guess = gradient_inversion.reconstruct(attack, differentiable, known, seen, lambda line: None)
        return np.mean(np.square((inference.protect(transform, guess) - np.float32(seen)) / 255))

    assert distance(100) < 0.8 * distance(5)


def test_total_variation_by_hand():
    images = np.zeros((2, 3, 3, 1), np.float32)
    images[0, 1, 1] = 2.0
    assert float(gradient_inversion.total_variation(images)) == 8.0
