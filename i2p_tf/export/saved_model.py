"""Both networks as SavedModels with named signatures; the classifier's as TF Serving wants it."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

WARM_UP_BATCHES = (1, 8)
_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 24  # of a PNG file, up to its width and height; no JPEG file is shorter


def export_transform(transform: keras.Model, path: pathlib.Path) -> None:
    """Writes h_θ: signature `serving_default`, uint8 `images` `(n, height, width, 3)` to uint8 `protected`."""

    def protect(images):
        protected = transform(tf.cast(images, tf.float32) / 255.0, training=False)
        return {"protected": tf.cast(tf.round(protected * 255.0), tf.uint8)}

    write(transform, {"serving_default": (protect, _images(transform))}, path)


def export_classifier(
    classifier: keras.Model, class_names: Sequence[str], run_id: str, images: np.ndarray, path: pathlib.Path
) -> None:
    """Writes ψ as one version of a TF Serving model.

    Signatures: `serving_default` takes uint8 `images` `(n, height, width, 3)`, `image_bytes` takes `image_bytes`
    `(n,)`, each a PNG or JPEG file of exactly that height and width; files that claim another size are refused before
    they are decoded. Both return float32 `probabilities` `(n, classes)` and `classes` `(n,)`, the names of the most
    probable ones. `class_names` takes int64 `labels` `(n,)` and returns their `class_names` `(n,)` and, as often, the
    `run_id`: TF Serving's metadata have no place for it, and by it a client knows whether its transform fits.

    Args:
        classifier: ψ, [0, 1] to logits.
        class_names: names of the labels, in their order; also in `assets/labels.txt`.
        run_id: names the pair of networks.
        images: uint8 images for the warm-up requests, at least as many as the largest of `WARM_UP_BATCHES`.
        path: the folder of the version, a `pathlib.Path`.
    """
    size = classifier.input_shape[1]
    names = tf.constant(class_names)

    def classify(images):
        probabilities = tf.nn.softmax(classifier(tf.cast(images, tf.float32) / 255.0, training=False))
        return {"probabilities": probabilities, "classes": tf.gather(names, tf.argmax(probabilities, axis=-1))}

    def decode(file):
        with tf.control_dependencies([_assert_size(file, size)]):
            image = tf.io.decode_image(tf.identity(file), channels=3, expand_animations=False)
        return tf.ensure_shape(image, (size, size, 3))

    def classify_bytes(image_bytes):
        return classify(tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8)))

    def name_labels(labels):
        return {"class_names": tf.gather(names, labels), "run_id": tf.fill(tf.shape(labels), run_id)}

    signatures = {
        "serving_default": (classify, _images(classifier)),
        "image_bytes": (classify_bytes, tf.TensorSpec([None], tf.string, name="image_bytes")),
        "class_names": (name_labels, tf.TensorSpec([None], tf.int64, name="labels")),
    }
    write(classifier, signatures, path)
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "labels.txt").write_text("".join(f"{name}\n" for name in class_names))
    _write_warm_up(images, path / "assets.extra" / "tf_serving_warmup_requests")


def _assert_size(file, size):
    """Fails unless the header of a PNG or JPEG file says `size` x `size`.

    Without it a few kilobytes could make the server allocate gigabytes for the pixels that they claim to hold.
    """
    stated = _stated_size(file)
    message = f"`image_bytes` must hold PNG or JPEG files of {size}x{size} pixels"
    return tf.debugging.Assert(tf.reduce_all(stated == size), [message, "Received height and width:", stated])


def _stated_size(file):
    """Height and width in the header, int32 `(2,)`; zeros if the file is neither PNG nor JPEG."""

    def unknown():
        return tf.zeros([2], tf.int32)

    def of_png():
        width_and_height = tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False)
        return tf.reverse(width_and_height, [0])

    def of_jpeg():
        return tf.io.extract_jpeg_shape(file)[:2]

    header = tf.strings.substr(tf.strings.join([file, " " * _HEADER_BYTES]), 0, len(_PNG))
    too_short = tf.strings.length(file) < _HEADER_BYTES
    cases = [(too_short, unknown), (header == _PNG, of_png), (tf.io.is_jpeg(file), of_jpeg)]
    stated = tf.case(cases, default=unknown)
    return tf.ensure_shape(stated, [2])


def _images(model):
    return tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="images")


def write(model: Any, signatures: dict[str, tuple[Callable, tf.TensorSpec]], path: pathlib.Path) -> None:
    """Writes a network as a SavedModel: functions that call it, and what each takes, by the name of the signature."""
    # In a module, for its lookup tables; of a layer the archive would write each variable once more.
    module = tf.Module()
    module.model = model
    archive = keras.export.ExportArchive()
    archive.track(module)
    for name, (function, specification) in signatures.items():
        archive.add_endpoint(name, function, input_signature=[specification])
    archive.write_out(str(path), verbose=False)


def _write_warm_up(images, path):
    """Requests that TF Serving runs before it takes the version into service."""
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for count in WARM_UP_BATCHES:
            batches = {
                "serving_default": ("images", images[:count]),
                "image_bytes": ("image_bytes", _png(images[:count])),
            }
            for signature, (name, batch) in batches.items():
                writer.write(_prediction_log(signature, name, batch))


def _png(images):
    return np.array([tf.io.encode_png(image).numpy() for image in images], dtype=object)


def _prediction_log(signature, name, batch):
    """The protocol buffer `tensorflow.serving.PredictionLog` of one request, encoded by hand.

    It spares the package tensorflow-serving-api, which exists for few versions of TensorFlow. The numbers are those of
    prediction_log.proto, predict.proto and model.proto.
    """
    model_spec = _field(3, signature.encode())
    tensor = tf.make_tensor_proto(batch).SerializeToString()
    inputs = _field(1, name.encode()) + _field(2, tensor)
    request = _field(1, model_spec) + _field(2, inputs)
    predict_log = _field(1, request)
    return _field(6, predict_log)


def _field(number, content):
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])
