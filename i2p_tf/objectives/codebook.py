"""The objective of a codebook: its pictures are found first, then its encoder learns to choose among them.

For each class there is a picture that ψ reads as that class; the classification is all that the encoder learns from.
"""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from i2p_tf import metrics
from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.client.transform_file import MAX_BYTES
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.errors import InputError
from i2p_tf.hints import Network, Tensor
from i2p_tf.models.transforms.codebook import IMAGE_MULTIPLE
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.setting import Setting
from i2p_tf.objectives.trainer import Trainer, accuracy

STEPS = 300
LEARNING_RATE = 0.05  # of Adam
READ = 0.5  # probability of a class from which on it is the likeliest for certain


class CodebookTrainer(Trainer):
    """Finds the pictures of a codebook, then trains its encoder to choose the word that stands for the class.

    In training the logits of the words stand in for what ψ makes of the pictures; validation sends the pictures.
    """

    def __init__(self, transform: keras.Model, classification: Classification):
        super().__init__(transform, name="codebook_trainer")
        transform.get_layer("pictures").trainable = False
        self.encoder = keras.Model(transform.input, transform.get_layer("logits").output, name="encoder")
        self.classification = classification

    def begin(self, batch_size: int, progress: Any) -> None:
        lowest = fit_pictures(self.network, self.classification, batch_size, progress)
        words = self.encoder.output.shape[-1]
        progress.say(f"codebook: {words} pictures; lowest probability of its class {lowest:.4f}")
        if lowest < READ:
            progress.warn("the classifier does not read every picture as its class, which costs accuracy")

    def compute_losses(self, images: Tensor, labels: Tensor, training: bool) -> dict[str, Tensor]:
        values = self.classification(images, self.encoder(images, training=training), labels)
        logits = values.pop("logits")
        if training:
            values["accuracy"] = accuracy(labels, logits)
        else:
            protected = round_to_8_bits(self.network(images, training=False))
            values["accuracy"] = accuracy(labels, self.classification.read(protected))
            values["ssim"] = ops.mean(metrics.ssim(protected, images))
        return values


def check(config: Config, dataset: Dataset, classifier: Network | None = None) -> None:
    """Raises an `InputError` where not even 8 bits for each pixel of each class's picture fit into a client's file."""
    size, classes = dataset.image_size, dataset.num_classes
    if 3 * size**2 * classes > MAX_BYTES:
        fitting = math.isqrt(MAX_BYTES // (3 * classes)) // IMAGE_MULTIPLE * IMAGE_MULTIPLE
        raise InputError(
            f"a codebook holds a picture for each class: {classes} of {size}x{size} are more than the {MAX_BYTES:,} "
            f"bytes of the largest file that clients take; --image_size={fitting} fits, or --preset=code"
        )


def trainer(setting: Setting) -> CodebookTrainer:
    """The `CodebookTrainer` of a `setting.Setting`."""
    return CodebookTrainer(setting.new_transform(), classification(setting.config, setting.classifier))


def fit_pictures(transform: keras.Model, classification: Classification, batch_size: int, progress: Any) -> float:
    """Moves the pictures of a codebook from noise to where ψ gives them their classes.

    Args:
        transform: h_θ, as `models.transforms.codebook` builds it.
        classification: the `objectives.classification.Classification` whose `read` says what ψ makes of pictures.
        batch_size: most images at once, as in a training. More pictures are found in parts: they don't depend on each
            other.
        progress: a `training.progress.Progress`.

    Returns:
        The lowest probability that ψ gives the class of a picture.
    """
    layer = transform.get_layer("pictures")
    show = keras.Sequential(transform.layers[transform.layers.index(layer) + 1 :])
    ways = classification.ways  # each picture goes each of them
    rows, lowest, most = layer.kernel.numpy(), 1.0, max(1, batch_size // ways)
    starts = range(0, len(rows), most)
    waiting = progress.wait("finding the codebook's pictures, step", STEPS * len(starts))
    for part, start in enumerate(starts):
        chosen = slice(start, start + most)
        labels = tf.tile(tf.range(len(rows))[chosen], [ways])
        rows[chosen], probability = _fit_rows(
            rows[chosen], labels, show, classification, lambda step, part=part: waiting.done(part * STEPS + step)
        )
        lowest = min(lowest, probability)
    layer.kernel.assign(rows)
    return lowest


def _fit_rows(start, labels, show, classification, done):
    """Rows of the codebook, `(n, values)`, fitted to labels, and the lowest probability of one of these.

    `labels` has those of the rows one or several times, `(k * n,)`.
    """
    rows, repetitions = keras.Variable(start), len(labels) // len(start)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build([rows])

    @tf.function
    def read():
        pictures = round_to_8_bits(show(rows.value))
        return classification.read(ops.tile(pictures, (repetitions, 1, 1, 1)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            # The sum, of which Adam makes the same steps as of the mean: its gradients are in the range of float16.
            loss = ops.sum(keras.losses.sparse_categorical_crossentropy(labels, read(), from_logits=True))
        optimizer.apply([tape.gradient(loss, rows.value)], [rows])

    for number in range(STEPS):
        step()
        done(number + 1)
    probabilities = tf.gather(ops.softmax(read()), labels, batch_dims=1)
    return rows.numpy(), float(ops.min(probabilities))
