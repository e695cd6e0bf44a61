"""A transformation network h_θ that has one picture for each class: an encoder chooses a word, a codebook shows it.

Whatever a picture contains, one of as many protected images as there are classes is sent. So nobody, by whatever means,
learns more from it than the word, log2(classes) bits; and ψ can't be right more often than the encoder is. The codebook
is a vector quantiser (van den Oord et al. 2017, arXiv 1711.00937) whose codewords are pictures.
"""

import keras
import numpy as np
from keras import layers, ops

from i2p_tf.hints import Tensor, Values
from i2p_tf.models.classifiers import resnet

IMAGE_MULTIPLE = 4  # the encoder halves the resolution twice

# Residual blocks in each stage of the encoder. At 32x32 these cost 0.88, 0.42 and 0.30 times what a ResNet-20 costs.
STACKWISE_BLOCKS = {
    "codebook": (3, 3, 2),
    "codebook_small": (1, 1, 2),
    "codebook_tiny": (1, 1, 1),
}


def build(image_size: int, num_classes: int, parameters: Values, size: str) -> keras.Model:
    """What the rows of the table build."""
    return codebook(size, image_size, num_classes)


def codebook(size: str, image_size: int, num_classes: int) -> keras.Model:
    """Builds the transformation network h_θ.

    Args:
        size: a key of `STACKWISE_BLOCKS`.
        image_size: height and width of the images; a multiple of `IMAGE_MULTIPLE`.
        num_classes: of ψ; there are as many words.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to RGB in [0, 1]; its layer `word`
        gives the word, one of `num_classes` values 1 and the others 0. The final sigmoid is float32 under every
        precision.

    Raises:
        ValueError: if `image_size` does not divide.
    """
    if image_size <= 0 or image_size % IMAGE_MULTIPLE:
        raise ValueError(f"`image_size` must be a multiple of {IMAGE_MULTIPLE}. Received: {image_size}")
    images = keras.Input((image_size, image_size, 3), name="images")
    x = resnet.trunk(images, STACKWISE_BLOCKS[size])
    x = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    x = Word(dtype="float32", name="word")(x)
    pictures = keras.initializers.RandomNormal(stddev=1.0)
    x = layers.Dense(image_size**2 * 3, use_bias=False, kernel_initializer=pictures, dtype="float32", name="pictures")(
        x
    )
    x = layers.Reshape((image_size, image_size, 3), dtype="float32", name="reshape")(x)
    return keras.Model(images, layers.Activation("sigmoid", dtype="float32", name="protected")(x), name="transform")


def codewords(transform: keras.Model) -> np.ndarray:
    """The picture of each word, in the order of the classes: float32 `(words, image_size, image_size, 3)` in [0, 1]."""
    table = transform.get_layer("pictures").kernel
    return ops.convert_to_numpy(ops.sigmoid(ops.reshape(table, (-1, *transform.output_shape[1:]))))


@keras.saving.register_keras_serializable("i2p_tf")
class Word(layers.Layer):
    """The likeliest word as a vector of one 1 and zeros; its gradient is that of the softmax (straight through).

    So h_θ can be trained, and an attacker who differentiates it finds a slope as well.
    """

    def call(self, logits: Tensor) -> Tensor:
        """Logits `(batch, words)` to words of the same shape."""
        probabilities = ops.softmax(logits)
        word = ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype=self.compute_dtype)
        return word + (probabilities - ops.stop_gradient(probabilities))
