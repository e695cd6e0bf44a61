"""Sets right how sure a reader of codes says it is, by images that it has not learned from.

A reader says more than it keeps where it is in doubt: it was distilled from ψ's softened answers and learned smoothed
labels. The likelihood of its answers does not show it, at its best temperature nothing changes (docs/results/NOTES.md).
"""

import keras
import numpy as np

from i2p_tf import confidence, inference

LOWEST, HIGHEST = 0.25, 4.0  # few images say little of how far a temperature should go
_HALVINGS = 30


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """By what logits are to be divided for answers to be as often right as they say, on average.

    Temperature scaling (Guo et al. 2017, section 4.2) of another aim: mean confidence equal to accuracy.

    Args:
        logits: `(n, classes)`.
        labels: `(n,)`, n > 0.

    Returns:
        From `LOWEST` to `HIGHEST`; above 1 where the answers are too sure.
    """
    right = int(np.sum(logits.argmax(axis=1) == labels))
    aim = (right + 1) / (len(labels) + 2)  # never 0 or 1, which no temperature gives
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        mean = confidence.probabilities(logits / np.exp(middle)).max(axis=1).mean()
        low, high = (middle, high) if mean > aim else (low, middle)
    return float(np.exp((low + high) / 2))


def calibrate(reader: keras.Model, drawings: np.ndarray, labels: np.ndarray) -> float:
    """Divides the logits of a reader by their `temperature`, in the weights of its last layer; no class changes.

    Args:
        reader: as `models.reader.reader` builds it.
        drawings: uint8 `(n, height, width, 3)`, as they arrive, of images that it was not trained on.
        labels: `(n,)`.

    Returns:
        The temperature.
    """
    divisor = temperature(inference.logits(reader, drawings), labels)
    last = reader.get_layer("code_reader").get_layer("logits")
    last.set_weights([weights / divisor for weights in last.get_weights()])
    return divisor
