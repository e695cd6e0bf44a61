"""How sure a classifier says it is, against how often it is right: pure functions of probabilities, in NumPy.

The confidence in an answer is its probability, the highest of its image.
"""

import numpy as np

from i2p_tf.hints import Values

BINS = 15
SHARES = (1.0, 0.9, 0.8, 0.5)
TOP = 5
MOST_CLASSES = 100  # whose counts are kept
_DECIMALS = 6  # equal images in different batches differ beyond them


def confidence(probabilities: np.ndarray, labels: np.ndarray) -> Values:
    """One kind of image in the part `confidence` of results.json.

    Args:
        probabilities: `(n, classes)`.
        labels: `(n,)`.

    Returns:
        Dictionary of `expected_calibration_error`, `rejection` (by share, as text) and, of more than `TOP` classes,
        `accuracy_top5`.
    """
    confidences = np.round(probabilities.max(axis=1), _DECIMALS)
    correct = probabilities.argmax(axis=1) == labels
    measured = {
        "expected_calibration_error": expected_calibration_error(confidences, correct),
        "rejection": {str(share): accuracy_of_most_confident(confidences, correct, share) for share in SHARES},
    }
    if probabilities.shape[1] > TOP:
        measured["accuracy_top5"] = top_accuracy(probabilities, labels, TOP)
    return measured


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax, float64 `(n, classes)`."""
    exponentials = np.exp(np.float64(logits) - np.max(logits, axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over `BINS` bins of equal width, weighted by the images in them.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3. A bin holds what is above its lower and
    not above its upper bound.

    Args:
        confidences: `(n,)` in [0, 1].
        correct: `(n,)`, whether each answer is right.

    Returns:
        In [0, 1]; 0 where answers are right as often as the confidences say.
    """
    places = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    surplus = np.bincount(places, correct - confidences, minlength=BINS)  # of each bin, times the images in it
    return float(np.abs(surplus).sum() / len(confidences))


def accuracy_of_most_confident(confidences: np.ndarray, correct: np.ndarray, share: float) -> float:
    """Accuracy on the share of the images with the highest confidences, rounded up to whole images.

    Of images with one and the same confidence, only some of which fit, each counts for its part: the mean over all
    ways to choose among them.
    """
    kept = int(np.ceil(round(share * len(confidences), 6)))
    lowest = np.sort(confidences)[len(confidences) - kept]
    above, level = confidences > lowest, confidences == lowest
    right = correct[above].sum() + correct[level].mean() * (kept - above.sum())
    return float(right / kept)


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """How often the true class is among the `count` most probable ones; where some are equal, the first ones are."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float(np.mean((best == np.asarray(labels)[:, np.newaxis]).any(axis=1)))


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class (rows) were taken for each class (columns), int64 `(classes, classes)`."""
    return np.bincount(np.asarray(labels) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def accuracy_by_class(counts: list[list[int]]) -> list[float | None]:
    """Share of each class that is read as what it is, from the rows of `confusion`; None where it has no image."""
    return [row[index] / sum(row) if sum(row) else None for index, row in enumerate(counts)]
