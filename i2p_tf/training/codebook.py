"""The pictures of a codebook: for each class one that ψ reads as that class, found before the encoder is trained."""

import keras
import tensorflow as tf
from keras import ops

from i2p_tf.training.objective import round_to_8_bits

STEPS = 300
LEARNING_RATE = 0.05  # of Adam
REPETITIONS = 3  # in a batch: `jpeg_transport` treats each third of it in another way


def fit_pictures(transform, classification):
    """Moves the pictures of a codebook from noise to where ψ reads them rightly, and leaves them fixed.

    Args:
        transform: h_θ, as `models.codebook` builds it.
        classification: the `training.objective.Classification` whose `read` says what ψ makes of pictures.

    Returns:
        The lowest probability that ψ gives the class of a picture.
    """
    layer = transform.get_layer("pictures")
    words = tf.eye(layer.kernel.shape[0])
    show = keras.Sequential([layer, *transform.layers[transform.layers.index(layer) + 1 :]])
    repetitions = REPETITIONS if classification.transport else 1
    labels = tf.tile(tf.range(len(words)), [repetitions])
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build([layer.kernel])

    @tf.function
    def read():
        pictures = round_to_8_bits(show(words))
        return classification.read(ops.tile(pictures, (repetitions, 1, 1, 1)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            # The sum, of which Adam makes the same steps as of the mean: its gradients are in the range of float16.
            loss = ops.sum(keras.losses.sparse_categorical_crossentropy(labels, read(), from_logits=True))
        optimizer.apply([tape.gradient(loss, layer.kernel.value)], [layer.kernel])

    for _ in range(STEPS):
        step()
    layer.trainable = False
    return float(ops.min(tf.gather(ops.softmax(read()), labels, batch_dims=1)))
