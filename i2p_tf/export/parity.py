"""Every artifact is run against the Keras model on test images before it is published."""

import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i2p_tf import drawing
from i2p_tf.client.transform import Transform
from i2p_tf.export.errors import ParityError
from i2p_tf.inference import classify

ALLOWED_LEVELS = 1  # of 255, between a float variant and the Keras model
REQUIRED_SHARE = 0.999  # of the values
REQUIRED_WORDS = 0.99  # of a codebook, where rounding decides for another word, and so for a whole picture
ALLOWED_LOSS = 0.01  # of accuracy on protected images
ALLOWED_PROBABILITY = 1e-4  # difference of a probability
_TIMED_IMAGES = 20


class Reference:
    """The Keras networks on some test images.

    Args:
        classifier: ψ.
        images, labels: uint8 `(n, height, width, 3)` and integers `(n,)`.
        protected: h_θ of the images, uint8.
        words: of how many pictures a codebook sends one; None for other transforms.
        bits: to which the drawings of codes are cut; None for other transforms.
    """

    def __init__(
        self,
        classifier: keras.Model,
        images: np.ndarray,
        labels: np.ndarray,
        protected: np.ndarray,
        words: int | None = None,
        bits: int | None = None,
    ) -> None:
        self.classifier = classifier
        self.images = images
        self.labels = labels
        self.protected = protected
        self.words = words
        self.bits = bits
        self.accuracy = self.accuracy_of(protected)

    def accuracy_of(self, protected: np.ndarray) -> float:
        return float(np.mean(classify(self.classifier, protected) == self.labels))


def check_transform(
    name: str, protected: np.ndarray, reference: Reference, exact: bool, allow_loss: bool = False
) -> dict[str, Any]:
    """Compares the output of an artifact with the reference.

    Args:
        name: for messages.
        protected: what it made of `reference.images`, uint8.
        reference: a `Reference`.
        exact: whether it computes with floats, so that the values have to agree.
        allow_loss: whether it may lose accuracy.

    Returns:
        Dictionary of `share_within_1_level`, `psnr` (dB, of all values; None where there is no difference), `accuracy`
        (of ψ on the images it protected) and `n`.

    Raises:
        ParityError: if it is too far off, or sends more different pictures than a codebook has, which would give away
            more than the word; that is never allowed.
    """
    different = len({image.tobytes() for image in protected})
    if reference.words and different > reference.words:
        raise ParityError(f"{name}: sends {different} different pictures of {reference.words}. Nothing was published")
    difference = protected.astype(np.int16) - reference.protected
    close = np.abs(difference) <= ALLOWED_LEVELS
    share, words = float(np.mean(close)), float(np.mean(np.all(close, axis=(1, 2, 3))))
    error = float(np.mean(np.square(difference, dtype=np.float64)))
    accuracy = reference.accuracy_of(protected)
    met, required, what = (words, REQUIRED_WORDS, "pictures") if reference.words else (share, REQUIRED_SHARE, "values")
    if exact and met < required:
        raise ParityError(
            f"{name}: {met:.2%} of the {what} are within {ALLOWED_LEVELS} level of the Keras model's; "
            f"{required:.1%} are required. Nothing was published; --variants or --tflite leaves it out"
        )
    if reference.accuracy - accuracy > ALLOWED_LOSS and not allow_loss:
        raise ParityError(
            f"{name}: the classifier's accuracy on protected images is {accuracy:.4f}, with the Keras model "
            f"{reference.accuracy:.4f}; {ALLOWED_LOSS} may be lost. Leave the variant out, or --allow_loss"
        )
    return {
        "share_within_1_level": share,
        "psnr": 10 * float(np.log10(255**2 / error)) if error else None,
        "accuracy": accuracy,
        "n": len(reference.labels),
    }


def check_saved_transform(path: pathlib.Path, reference: Reference) -> dict[str, Any]:
    """Runs the SavedModel of h_θ; as `check_transform`."""
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    batches = [signature(images=batch)["protected"].numpy() for batch in _batches(reference.images)]
    protected = np.concatenate(batches)
    if reference.bits:
        protected = drawing.cut(protected, reference.bits)
    return check_transform("transform/", protected, reference, exact=True)


def check_saved_classifier(path: pathlib.Path, class_names: Sequence[str], reference: Reference) -> dict[str, Any]:
    """Runs both signatures of the SavedModel of ψ on protected images.

    Returns:
        Dictionary of `largest_probability_difference` and `n`.

    Raises:
        ParityError: if a probability or a class differs.
    """
    signatures = tf.saved_model.load(str(path)).signatures
    largest = 0.0
    for batch in _batches(reference.protected):
        logits = reference.classifier(np.float32(batch) / np.float32(255.0), training=False)
        expected = tf.nn.softmax(logits).numpy()
        files = tf.stack([tf.io.encode_png(image) for image in batch])
        for answer in (signatures["serving_default"](images=batch), signatures["image_bytes"](image_bytes=files)):
            probabilities = answer["probabilities"].numpy()
            largest = max(largest, float(np.abs(probabilities - expected).max()))
            classes = [name.decode() for name in answer["classes"].numpy()]
            if largest > ALLOWED_PROBABILITY or classes != [class_names[i] for i in probabilities.argmax(axis=1)]:
                raise ParityError(
                    f"classifier/: a probability is off by {largest:.2g}, or a class is. Nothing published"
                )
    return {"largest_probability_difference": largest, "n": len(reference.labels)}


def milliseconds(transform: Transform, images: np.ndarray) -> float:
    """Median time of one image on one core, by a loaded `client.transform.Transform`."""
    seconds = []
    for image in images[:_TIMED_IMAGES]:
        started = time.perf_counter()
        transform(image[np.newaxis])
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def _batches(images, size=100):
    return [images[start : start + size] for start in range(0, len(images), size)]
