"""What trained networks, or a keyed method, make of 8-bit images, in batches that fit into memory."""

import concurrent.futures
import functools
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from i2p_tf import drawing, encryption, key_file, metrics, models
from i2p_tf.config import Config
from i2p_tf.errors import InputError
from i2p_tf.hints import Protect, Tensor
from i2p_tf.models.classifiers.own import import_custom_objects
from i2p_tf.models.reader import with_reader
from i2p_tf.models.transforms.table import CODE
from i2p_tf.run_dir import RunDir

MOST_PIXELS = 500 * 32**2  # of a batch
GRAPH_BATCHES = 4  # so many batches repay that a network is compiled to one graph
# So many parts of a batch are computed at once on a processor: while one is converted, or waits for the slowest thread
# of an operation, the others compute (benchmarks/NOTES.md).
PARTS = 3


def load_network(path: pathlib.Path) -> keras.Model:
    """A network of a run, for inference; `InputError` says what is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; bin/train with --run_dir={path.parent} finishes the run")
    models.import_builders()
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged file made it stumble over
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged ({reason}); delete it, and bin/train makes it again") from error


def load_classifier(path: pathlib.Path, num_classes: int) -> keras.Model:
    """ψ of a run, as `load_network`; `InputError` if it knows another number of classes than the data have."""
    config = RunDir(path.parent)
    if config.config.is_file() and (module := config.load_config().custom_objects):
        import_custom_objects(module)
    classifier = load_network(path)
    if classifier.output_shape[-1] != num_classes:
        raise InputError(f"{path} knows {classifier.output_shape[-1]} classes, and the data have {num_classes}")
    return classifier


def load_reading_classifier(run_dir: RunDir, num_classes: int) -> keras.Model:
    """ψ of a run as the cloud has it, for plain and protected images: with the reader of codes where there is one."""
    classifier = load_classifier(run_dir.classifier, num_classes)
    if not run_dir.load_config().has_reader:
        return classifier
    return with_reader(classifier, load_network(run_dir.reader))


def load_protection(run_dir: RunDir, config: Config, image_size: int) -> Protect:
    """What a run does to pictures before they travel: a function of uint8 images to uint8 images.

    That is h_θ, with a code cut to the bits of the configuration, or the keyed method of `config.encryption` with the
    key of the run.
    """
    if config.encryption:
        return encryption.scheme(config.encryption, key_file.read(run_dir.encryption_key), image_size).encrypt
    transform = load_network(run_dir.transform)
    if config.rows()["transform"].sends != CODE:
        return functools.partial(protect, transform)
    return lambda images: drawing.cut(protect(transform, images), config.bits)


def protect(transform: keras.Model, images: np.ndarray) -> np.ndarray:
    """Applies h_θ.

    Args:
        transform: h_θ, [0, 1] to [0, 1].
        images: uint8 `(n, height, width, 3)`.

    Returns:
        The protected images, uint8 of the same shape.
    """
    return np.concatenate(list(_infer(transform, images, to_uint8)))


def classify(classifier: keras.Model, images: np.ndarray) -> np.ndarray:
    """Classes, int64 `(n,)`, of uint8 images `(n, height, width, 3)`."""
    return logits(classifier, images).argmax(axis=1)


def logits(classifier: keras.Model, images: np.ndarray) -> np.ndarray:
    """Logits, float32 `(n, classes)`, of uint8 images `(n, height, width, 3)`."""
    return np.concatenate(list(_infer(classifier, images, np.asarray)))


def visual_distance(images: np.ndarray, references: np.ndarray) -> dict[str, np.ndarray]:
    """SSIM and PSNR of each uint8 image against its reference: float32 `(n,)` by `ssim` and `psnr`."""
    pairs = list(zip(_batches(images), _batches(references), strict=True))
    return {
        name: np.concatenate([np.asarray(metric(_to_float(a), _to_float(b))) for a, b in pairs])
        for name, metric in (("ssim", metrics.ssim), ("psnr", metrics.psnr))
    }


def to_uint8(images: Tensor) -> np.ndarray:
    """Images in [0, 1] at the 256 levels that travel; what lies outside is cut off."""
    return np.rint(np.clip(np.asarray(images), 0.0, 1.0) * 255.0).astype(np.uint8)


def batch_size(image_size: int) -> int:
    """How many images an evaluation computes at once: of large ones fewer, as a network's memory grows with pixels."""
    return min(500, max(1, MOST_PIXELS // image_size**2))


def _infer(network: keras.Model, images: np.ndarray, convert: Callable[[Tensor], np.ndarray]) -> Iterator[np.ndarray]:
    """Yields what `convert` makes of the outputs of a network for batches of uint8 images."""
    batches = _batches(images)
    if len(batches) < GRAPH_BATCHES:
        yield from (convert(network(_to_float(batch), training=False)) for batch in batches)
        return
    infer = _graph(network, images.shape[1:])
    parts = 1 if tf.config.list_physical_devices("GPU") else min(PARTS, batch_size(images.shape[1]))
    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        yield from pool.map(lambda batch: convert(infer(_to_float(batch))), _batches(images, parts))


def _graph(network, shape):
    signature = [tf.TensorSpec((None, *shape), tf.float32)]
    graph = tf.function(functools.partial(network, training=False), input_signature=signature)
    graph.get_concrete_function()  # is traced here, where Keras' state is the caller's
    return graph


def _batches(images, parts=1):
    size = batch_size(images.shape[1]) // parts
    return [images[start : start + size] for start in range(0, len(images), size)]


def _to_float(images):
    return np.float32(images) / np.float32(255.0)
