"""Codes whose fate is known: an attacker who gets these wrong proves nothing about others."""

import numpy as np

from i2p_tf import drawing
from i2p_tf.attacks.prior_only import mean_image
from i2p_tf.attacks.sanity_checks import REMEDY, TOLERANCE
from i2p_tf.tradeoff import decoders
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.symbols import known_images, measured

STEPS = 500  # on constant codes, at most: there is nothing to learn
CONSTANT = "constant"


def failures(ceiling_ssim: float, class_alone_ssim: float, constant: dict) -> list[str]:
    """What is wrong, in lines.

    Args:
        ceiling_ssim: mean SSIM of the best decoder of codes that are made to be restored, of as many bits as there are.
        class_alone_ssim: of the class alone.
        constant: of `constant_codes`.
    """
    lines = []
    if not ceiling_ssim > class_alone_ssim:
        lines.append(
            f"ceiling is restored with a mean SSIM of {ceiling_ssim:.3f}, where the class alone gives "
            f"{class_alone_ssim:.3f}; {REMEDY}"
        )
    if not constant["ssim"] - constant["mean_image"] <= TOLERANCE:
        lines.append(
            f"constant codes give a mean SSIM of {constant['ssim']:.3f} where the mean image gives "
            f"{constant['mean_image']:.3f}"
        )
    return lines


def constant_codes(bench: Bench) -> dict:
    """Mean SSIM that a decoder gets from codes that are all the same, `ssim`, and that of the `mean_image`."""
    return bench.memory.result(CONSTANT, {}, {}, lambda: _constant_codes(bench))


def _constant_codes(bench):
    test, known = bench.dataset.test, known_images(bench)
    steps = min(STEPS, bench.steps)
    bench.progress.say(f"{CONSTANT}: {steps} steps")
    codes = np.zeros((len(known), drawing.ELEMENTS), np.int8)
    network = decoders.trained("dense", codes, known, bench.recipe, steps, bench.seed, bench.progress.say)
    same = np.zeros((len(test.images), drawing.ELEMENTS), np.int8)
    guesses = decoders.restored(network, same, drawing.BITS[-1])
    mean = measured(mean_image(bench.dataset.train, len(test.images)), test)
    return {"ssim": measured(guesses, test)["ssim"], "mean_image": mean["ssim"]}
