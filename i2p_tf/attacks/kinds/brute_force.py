"""Brute force over the keys of a conventional method: how many there are, and whether the right one shows.

Nobody can try all real keys. That trying would work, were there few of them, is shown on keys of a few bits: pictures
are smooth, and under a wrong key they are not.
"""

import math

import numpy as np

from i2p_tf import encryption
from i2p_tf.attacks.specifications import BruteForce
from i2p_tf.attacks.target import Target
from i2p_tf.encryption.learnable import SYMBOLS
from i2p_tf.encryption.table import BLOCK
from i2p_tf.hints import Say, Values


def attack(specification: BruteForce, target: Target, seed: int, say: Say) -> Values:
    """As a row of `rows.ATTACKS` has it."""
    assert target.encryption  # else it is left out
    plain = target.test.images[: specification.pictures]
    return brute_force(target.encryption, plain, specification.shrunken_key_bits, seed, say)


def brute_force(name: str, plain: np.ndarray, shrunken_bits: int, seed: int, say: Say) -> Values:
    """Counts the keys of a method and tries all keys of a shrunken one.

    Args:
        name: a key of `encryption.SCHEMES`.
        plain: uint8 `(n, size, size, 3)`; each picture is encrypted by a shrunken key of its own.
        shrunken_bits: how long they are.
        seed: of these keys.
        say: called with each line of progress.

    Returns:
        A dictionary: `method`; `choices_bits`, what the method's definition leaves open at this size of image;
        `key_bits`, the same but at most the length of a key file; `recognised`, the share of pictures for which the
        smoothest of all decryptions is the picture; `chance`, that share for a blind guess.
    """
    size = plain.shape[1]
    secrets = np.random.default_rng(seed).integers(2**shrunken_bits, size=len(plain))
    encrypted = np.concatenate(
        [_scheme(name, secret, size).encrypt(plain[i : i + 1]) for i, secret in enumerate(secrets)]
    )
    smoothest, guesses = np.full(len(plain), np.inf), np.zeros_like(plain)
    for key in range(2**shrunken_bits):
        decrypted = _scheme(name, key, size).decrypt(encrypted)
        roughness = total_variation(decrypted)
        better = roughness < smoothest
        smoothest[better], guesses[better] = roughness[better], decrypted[better]
        if (key + 1) % 1024 == 0:
            say(f"  {key + 1}/{2**shrunken_bits} keys")
    bits = choices_bits(name, size)
    return {
        "method": name,
        "choices_bits": bits,
        "key_bits": min(bits, 8.0 * encryption.KEY_BYTES),
        "recognised": float(np.mean(np.all(guesses == plain, axis=(1, 2, 3)))),
        "chance": 2.0**-shrunken_bits,
    }


def choices_bits(name: str, image_size: int) -> float:
    """Logarithm to base 2 of the number of keys that the definition of a method allows.

    Args:
        name: a key of `encryption.SCHEMES`.
        image_size: height and width of the images.
    """
    blocks, pixels = (image_size // BLOCK) ** 2, image_size**2
    colours = _permutations(3)
    halves = SYMBOLS + _permutations(SYMBOLS)  # an inversion for each, and their order
    return {
        "le": halves,
        "ele": blocks * halves + _permutations(blocks),
        "pe": pixels * (3 + colours),
        "etc": blocks * (3 + 1 + colours) + _permutations(blocks),  # eight ways to lay a square, and an inversion
    }[name]


def total_variation(images: np.ndarray) -> np.ndarray:
    """Sum of the absolute differences of neighbouring pixels of each uint8 image, int64 `(n,)`."""
    values = images.astype(np.int16)
    return sum(np.abs(np.diff(values, axis=axis)).sum(axis=(1, 2, 3), dtype=np.int64) for axis in (1, 2))


def _permutations(count):
    return math.lgamma(count + 1) / math.log(2)


def _scheme(name, shrunken_key, image_size):
    return encryption.scheme(name, int(shrunken_key).to_bytes(encryption.KEY_BYTES, "big"), image_size)
