"""Whether a classifier reads anything at all."""

import math

import numpy as np

from i2p_tf.hints import Values

DEVIATIONS = 2.0  # above chance, in standard deviations, is a classifier that reads something


def is_at_chance(predicted: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Whether answers are no better than those of a classifier that looks at nothing.

    It is the mean over classes that counts, however many images there are of each: who always names the most frequent
    class is at chance, whatever that class's share.

    Args:
        predicted: `(n,)`.
        labels: `(n,)`, from 0.
        classes: how many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    counts = counts[counts > 0]
    right = np.asarray(predicted) == labels
    recall = np.mean([right[labels == label].mean() for label in np.unique(labels)])
    chance = 1.0 / classes
    deviation = math.sqrt(chance * (1.0 - chance) * np.sum(1.0 / counts)) / len(counts)
    return bool(recall <= chance + DEVIATIONS * deviation)


def warnings(results: Values) -> list[str]:
    """What the contents of results.json say of a training that has taught nothing, in lines; none of any other."""
    found = results.get("at_chance", {})
    kinds = [kind for kind in ("plain", "protected") if found.get(kind)]
    if not kinds:
        return []
    read = " and ".join(f"{results['accuracy'][kind]:.4f} of the {kind} images" for kind in kinds)
    return [
        f"the training ended at chance: the classifier is right on {read}, and a guess on {found['chance']:.4f}. "
        "More --epochs, a smaller --batch_size or a lower --learning_rate may help"
    ]
