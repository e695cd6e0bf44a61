"""What a reconstructed image gives away: the picture, the class, and whose picture it is."""

import numpy as np

from i2p_tf import inference
from i2p_tf.data.dataset import Split
from i2p_tf.hints import Network, Values
from i2p_tf.results import summary

_QUERIES = 1_000
_TIE = 1e-6  # difference of two correlations that rounding explains


def leakage(reconstructed: np.ndarray, test: Split, evaluation_classifier: Network) -> tuple[Values, np.ndarray]:
    """Measures guesses of test images.

    Args:
        reconstructed: uint8 `(n, height, width, 3)`, of the first n test images.
        test: the `data.dataset.Split` of the plain images, all of which are the gallery of the re-identification.
        evaluation classifier: an evaluation classifier.

    Returns:
        A dictionary as results.json has it: `ssim` and `psnr` (summaries), `accuracy_on_reconstructed`,
        `reidentification_top1`, `reidentification_top5`, `n`; and SSIM by image, float32 `(n,)`.
    """
    count = len(reconstructed)
    distances = inference.visual_distance(reconstructed, test.images[:count])
    ranks = reidentification_ranks(reconstructed, test.images)
    measured = {name: summary(values) for name, values in distances.items()} | {
        "accuracy_on_reconstructed": float(
            np.mean(inference.classify(evaluation_classifier, reconstructed) == test.labels[:count])
        ),
        "reidentification_top1": share_found(ranks, 1),
        "reidentification_top5": share_found(ranks, 5),
        "n": count,
    }
    return measured, distances["ssim"]


def reidentification_ranks(reconstructed: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the source of each reconstructed image comes in a gallery that is ordered by resemblance.

    Resemblance is the correlation of the pixels after the mean image of the gallery is subtracted, of either sign: an
    inverted picture is found as well.

    Args:
        reconstructed: uint8 `(n, height, width, 3)`.
        gallery: the plain images, uint8, at least n, in the same order.

    Returns:
        How many images resemble it more than its source, from 0, and how many as much, the source included, from 1:
        int64 `(n,)` each.
    """
    mean = gallery.mean(axis=0, dtype=np.float64)
    gallery, reconstructed = _directions(gallery, mean), _directions(reconstructed, mean)
    better, tied = [], []
    for start in range(0, len(reconstructed), _QUERIES):
        queries = reconstructed[start : start + _QUERIES]
        resemblance = np.abs(queries @ gallery.T)
        lead = resemblance - resemblance[np.arange(len(queries)), start + np.arange(len(queries)), np.newaxis]
        better.append(np.sum(lead > _TIE, axis=1))
        tied.append(np.sum(np.abs(lead) <= _TIE, axis=1))
    return np.concatenate(better), np.concatenate(tied)


def share_found(ranks: tuple[np.ndarray, np.ndarray], count: int) -> float:
    """Share of the sources among the first `count` of the gallery, those that resemble as much in random order.

    By chance that is `count` over the size of the gallery.
    """
    better, tied = ranks
    return float(np.mean(np.clip((count - better) / tied, 0.0, 1.0)))


def _directions(images, mean):
    flat = np.float32((images - mean).reshape(len(images), -1))
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
