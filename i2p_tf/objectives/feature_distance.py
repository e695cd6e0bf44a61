"""How far apart two images are for φ."""

import numpy as np
from keras import ops

from i2p_tf.config import Config
from i2p_tf.hints import Tensor


class SquaredDistance:
    """The paper's distance of features, mean((a - b)²) / unit. It grows without bound with the protected contrast.

    In published units, 1, it is that of the features as φ gives them. The releases of VGG16 differ by orders of
    magnitude in the scale of these; in units of their variance over plain images one λ means the same for each of
    them, and two unrelated pictures are 2 apart.

    Args:
        plain_features: of plain training images, `(n, height, width, channels)`.
        unit: `"variance"` or `"published"`.
    """

    def __init__(self, plain_features: np.ndarray, unit: str = "variance"):
        self.unit = ops.mean(ops.var(plain_features, axis=(0, 1, 2))) if unit == "variance" else ops.ones(())

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Feature maps `(n, height, width, channels)` to distances `(n,)`."""
        return ops.mean(ops.square(a - b), axis=(1, 2, 3)) / self.unit


class CosineDistance:
    """1 - cosine of the angle between the features at each place, averaged over the places; from 0 to 2.

    The mean of each channel over plain images is subtracted first. The distance depends on which features there are,
    not on how strong they are, so that it can't be enlarged by strengthening those of the plain image. Normalised in
    the channels like the perceptual distance of Zhang et al. 2018.
    """

    def __init__(self, plain_features: np.ndarray):
        self.mean = ops.mean(plain_features, axis=(0, 1, 2))

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Feature maps `(n, height, width, channels)` to distances `(n,)`."""
        cosines = ops.sum(self._directions(a) * self._directions(b), axis=-1)
        return 1.0 - ops.mean(cosines, axis=(1, 2))

    def _directions(self, features):
        centred = features - self.mean
        return centred * ops.rsqrt(ops.sum(ops.square(centred), axis=-1, keepdims=True) + 1e-6)


def distance(config: Config, plain_features: np.ndarray) -> SquaredDistance | CosineDistance:
    """The distance that a `Config` names, calibrated on features of plain images."""
    if config.feature_distance == "cosine":
        return CosineDistance(plain_features)
    return SquaredDistance(plain_features, config.feature_unit)
