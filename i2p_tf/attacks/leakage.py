"""What a restored image gives away: the picture, the class, and whose picture it is."""

import numpy as np

from i2p_tf import evaluation

_QUERIES = 1_000


def leakage(restored, test, judge):
    """Measures guesses of test images.

    Args:
        restored: uint8 `(n, height, width, 3)`, of the first n test images.
        test: the `data.sources.Split` of the plain images, all of which are the gallery of the re-identification.
        judge: an independent classifier.

    Returns:
        A dictionary as results.json has it: `ssim` and `psnr` (summaries), `accuracy_on_restored`,
        `reidentification_top1`, `reidentification_top5`, `n`; and SSIM by image, float32 `(n,)`.
    """
    count = len(restored)
    distances = evaluation.visual_distance(restored, test.images[:count])
    ranks = reidentification_ranks(restored, test.images)
    measured = {name: evaluation.summary(values) for name, values in distances.items()} | {
        "accuracy_on_restored": float(np.mean(evaluation.classify(judge, restored) == test.labels[:count])),
        "reidentification_top1": float(np.mean(ranks < 1)),
        "reidentification_top5": float(np.mean(ranks < 5)),
        "n": count,
    }
    return measured, distances["ssim"]


def reidentification_ranks(restored, gallery):
    """How many other images of the gallery resemble a restored image at least as much as its source.

    Resemblance is the correlation of the pixels after the mean image of the gallery is subtracted, of either sign: an
    inverted picture is found as well. By chance a rank is below k with probability k / n.

    Args:
        restored: uint8 `(n, height, width, 3)`.
        gallery: the plain images, uint8, at least n, in the same order.

    Returns:
        Ranks from 0, int64 `(n,)`.
    """
    mean = gallery.mean(axis=0, dtype=np.float64)
    gallery, restored = _directions(gallery, mean), _directions(restored, mean)
    ranks = []
    for start in range(0, len(restored), _QUERIES):
        queries = restored[start : start + _QUERIES]
        resemblance = np.abs(queries @ gallery.T)
        own = resemblance[np.arange(len(queries)), start + np.arange(len(queries))]
        ranks.append(np.sum(resemblance >= own[:, np.newaxis], axis=1) - 1)
    return np.concatenate(ranks)


def _directions(images, mean):
    flat = np.float32((images - mean).reshape(len(images), -1))
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
