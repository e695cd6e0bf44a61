"""The best linear map from the whole protected image to the whole plain one, in closed form: ridge regression.

Shuffling and inverting symbols is linear, however far the symbols move. So this undoes LE, ELE, PE and EtC from about
as many pairs of one key as an image has symbols, where a convolution that looks at surroundings sees nothing.
"""

import numpy as np

from i2p_tf import inference
from i2p_tf.attacks import specification
from i2p_tf.attacks.specifications import LinearMap
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Values

RIDGES = (1e-6, 1e-3, 1e-1)  # penalties on the slopes, per pair; the held-out pairs decide
_BATCH = 2_000


def attack(specification: LinearMap, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    return reconstruct(target.pairs(specification.pairs), target.protected, target.halves, say), {}


def reconstruct(known: tuple[np.ndarray, np.ndarray], protected: np.ndarray, halves: bool, say: Say) -> np.ndarray:
    """Fits the map and applies it.

    Args:
        known: tuple of protected and plain images that the attacker has, uint8 `(n, size, size, 3)`; at least 2.
        protected: uint8 images to reconstruct.
        halves: whether the symbols are upper and lower halves of bytes, as in LE and ELE, or bytes.
        say: called with each line of progress.

    Returns:
        The reconstructed images, uint8, of the shape of `protected`.
    """
    symbols, plain = _symbols(known[0], halves), _symbols(known[1], halves=False)
    held_out = specification.held_out(len(symbols))
    shift, goal = symbols[:-held_out].mean(axis=0), plain[:-held_out].mean(axis=0)
    gram, products = _moments(symbols[:-held_out], plain[:-held_out], shift, goal)
    best, lowest = None, np.inf
    for ridge in RIDGES:
        penalty = ridge * (len(symbols) - held_out) * np.eye(len(gram))
        slopes = np.linalg.solve(gram + penalty, products).astype(np.float32)
        error = np.mean(np.square((symbols[-held_out:] - shift) @ slopes + goal - plain[-held_out:]))
        say(f"  ridge {ridge:g}  validation {error:.3g}")
        if error < lowest:
            best, lowest = slopes, error
    reconstructed = (_symbols(protected, halves) - shift) @ best + goal
    return inference.to_uint8(reconstructed.reshape(protected.shape))


def _symbols(images, halves):
    """float32 `(n, symbols)` in [0, 1]."""
    flat = images.reshape(len(images), -1)
    if not halves:
        return flat / np.float32(255.0)
    return np.concatenate([flat >> 4, flat & 15], axis=1) / np.float32(15.0)


def _moments(inputs, targets, shift, goal):
    """Of centred inputs and targets: `inputs.T @ inputs` and `inputs.T @ targets`, float64, batch by batch."""
    gram, products = (np.zeros((inputs.shape[1], array.shape[1])) for array in (inputs, targets))
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH].astype(np.float64) - shift
        gram += batch.T @ batch
        products += batch.T @ (targets[start : start + _BATCH] - goal)
    return gram, products
