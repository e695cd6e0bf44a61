"""Protections whose fate is known beforehand: an attack that gets them wrong proves nothing."""

import dataclasses
from collections.abc import Callable

import numpy as np

from i2p_tf import encryption
from i2p_tf.attacks.specification import Specification

DIFFERENTIABLE = "i2p_tf.attacks.kinds.gradient_inversion"
KEY = bytes(encryption.KEY_BYTES)  # any will do: it is the attacker who must not know it
GREY = 128
SHIFT = (2, 2)  # pixels down and to the right
TOLERANCE = 0.02  # of the constant's mean SSIM
REMEDY = "the attack is too weak to prove anything on these data: take a longer suite"


@dataclasses.dataclass(frozen=True)
class SanityCheck:
    """A protection and what the attack must make of it.

    Attributes:
        protect: uint8 images to protected ones.
        at_least: the mean SSIM of reconstructed images that the attack must reach; None where nothing is left to
            reconstruct, and the attack must get what guessing the mean image gets.
        transform: `"module:function"`, `protect` as a function of images in [0, 1] that can be differentiated; None if
            there is none.
    """

    protect: Callable
    at_least: float | None
    transform: str | None = None


def _identity(images):
    return images


def _fixed_key_pe(images):
    return encryption.scheme("pe", KEY, images.shape[1]).encrypt(images)


def _fixed_key_etc(images):
    return encryption.scheme("etc", KEY, images.shape[1]).encrypt(images)


def _shifted(images):
    return np.roll(images, SHIFT, axis=(1, 2))


def _constant(images):
    return np.full_like(images, GREY)


SANITY_CHECKS = {
    "identity": SanityCheck(_identity, at_least=0.95, transform=f"{DIFFERENTIABLE}:identity"),
    "fixed_key_pe": SanityCheck(_fixed_key_pe, at_least=0.8),
    # The first guess of `inverse_network` undoes the two above by itself; here the network has to learn something.
    "shifted": SanityCheck(_shifted, at_least=0.8, transform=f"{DIFFERENTIABLE}:shifted"),
    # It moves symbols so far that `linear_map` alone can be expected to find them again.
    "fixed_key_etc": SanityCheck(_fixed_key_etc, at_least=0.95),
    "constant": SanityCheck(_constant, at_least=None, transform=f"{DIFFERENTIABLE}:constant"),
}


def misbehaviour(
    name: str, ssim: float, mean_image_ssim: float, attack: Specification | None = None, draws: bool = False
) -> str | None:
    """What is wrong with a sanity check's result, in a line; None if nothing is.

    Args:
        name: a key of `SANITY_CHECKS`.
        ssim: mean SSIM of its reconstructed images.
        mean_image_ssim: mean SSIM of the mean image as a guess of the same pictures.
        attack: the attack that was tried on it; None for the one of the suite whose sanity checks go without its name.
        draws: whether the attack draws pictures: of what is gone they resemble the plain ones less than the mean image.
    """
    at_least = SANITY_CHECKS[name].at_least
    name = f"{attack}_{name}" if attack else name
    if at_least is not None and not ssim >= at_least:
        return f"{name} is reconstructed with a mean SSIM of {ssim:.3f} where at least {at_least} is due; {REMEDY}"
    surplus = ssim - mean_image_ssim
    if at_least is None and not (surplus if draws else abs(surplus)) <= TOLERANCE:
        return f"{name} gives a mean SSIM of {ssim:.3f} where the mean image gives {mean_image_ssim:.3f}; {REMEDY}"
    return None
