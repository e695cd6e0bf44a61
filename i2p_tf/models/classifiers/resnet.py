"""Residual networks in the CIFAR form of He et al. 2015 (arXiv 1512.03385, section 4.2)."""

import keras
from keras import layers, ops

from i2p_tf.hints import Tensor
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.layers.normalization import imagenet_normalization

# Residual blocks in each of the three stages; a network of depth d has (d - 2) / 6.
STACKWISE_BLOCKS = {
    "resnet20": (3, 3, 3),
    "resnet32": (5, 5, 5),
    "resnet44": (7, 7, 7),
    "resnet56": (9, 9, 9),
}
STACKWISE_FILTERS = (16, 32, 64)


def resnet(variant: str, image_size: int, num_classes: int) -> keras.Model:
    """Builds the classifier ψ.

    Args:
        variant: a key of `STACKWISE_BLOCKS`.
        image_size: height and width of the images; a multiple of 4.
        num_classes: number of logits.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to logits `(batch, num_classes)`.
        Normalisation is its first layer. Shortcuts have no parameters (option A of the paper).
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = trunk(images, STACKWISE_BLOCKS[variant])
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name=variant)


def trunk(images: Tensor, stackwise_blocks: tuple[int, ...]) -> Tensor:
    """All but the logits: RGB in [0, 1] to pooled features `(batch, 64)`, through that many blocks in each stage."""
    x = imagenet_normalization()(images)
    x = _conv(x, STACKWISE_FILTERS[0], 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, (filters, blocks) in enumerate(zip(STACKWISE_FILTERS, stackwise_blocks, strict=True), start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _residual_block(x, filters, stride, f"stage{stage}_block{block}")
    return layers.GlobalAveragePooling2D(name="pool")(x)


def _residual_block(x, filters, stride, name):
    shortcut = x if stride == 1 else _subsample(x, filters, stride, f"{name}_shortcut")
    x = _conv(x, filters, stride, f"{name}_1")
    x = layers.ReLU(name=f"{name}_1_relu")(x)
    x = _conv(x, filters, 1, f"{name}_2")
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)


def _subsample(x, filters, stride, name):
    """Option A: every second pixel, new channels filled with zeros on both sides."""
    missing = filters - x.shape[-1]
    x = layers.AveragePooling2D(1, strides=stride, name=name)(x)
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [missing // 2, missing - missing // 2]])


def _conv(x, filters, stride, name):
    if stride == 2:
        # The paper's grid: a window starts one pixel outside, where "same" would start inside.
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = Conv2D(
        filters,
        3,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
