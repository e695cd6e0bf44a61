"""Image classification sets of TensorFlow Datasets -> uint8 arrays. Import it lazily: it loads TensorFlow."""

import concurrent.futures
import contextlib
import difflib
import os
import pathlib
import sys
import urllib.error
import urllib.request
from typing import cast

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from i2p_tf import pictures
from i2p_tf.data import record_index
from i2p_tf.data.dataset import VALIDATION_FRACTION, Found, Split
from i2p_tf.data.stored import MOST_BYTES, StoredImages
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.moving_line import MovingLine

_BATCH = 1000
_SPLITS = ("train", "validation", "test")
_VALIDATION_FRACTIONS = {"cifar100": 0.05}  # 2,500 of 50,000, as Ito et al. 2021
_CONNECT_SECONDS = 10


def read(place: str, data_dir: str | None, image_size: int | None, attribute: str | None, line: MovingLine) -> Found:
    """Reads a set that is prepared under `data_dir`; one that is not there is downloaded and prepared there.

    Args:
        place: name of the set, with configuration and version as TFDS writes them: "mnist", "imagenette/160px".
        data_dir: folder of prepared sets; None for TFDS' own, `~/tensorflow_datasets`.
        image_size: height and width to bring each image to, by `pictures.resize` with rule "crop"; None leaves the
            images as they are, where they are square and all of one size.
        attribute: another feature of the set that is a ClassLabel; None for none.
        line: a `moving_line.MovingLine` that says how far it is.

    Returns:
        A `data.dataset.Found`. A test or validation split without labels is left out.

    Raises:
        InputError: if the set is unknown, can't be had, is damaged, or holds no images of one class each.
    """
    builder = _builder(place, data_dir)
    features = builder.info.features
    _check_features(place, features)
    if attribute:
        _check_attribute(place, features, attribute)
    image_size, stored_as_needed = _sizes(place, features["image"].shape, image_size)
    if "train" not in builder.info.splits:
        raise InputError(f"data set {place!r} has no train split; it has {', '.join(builder.info.splits)}")
    splits, parts = {}, builder.info.splits
    is_large = 3 * image_size**2 * sum(parts[name].num_examples for name in _SPLITS if name in parts) > MOST_BYTES
    for name in _SPLITS:
        if name not in parts:
            continue
        try:
            if is_large and attribute is None:
                split = _stored_split(parts[name], image_size, line)
            else:
                split = _read_split(parts[name], image_size, stored_as_needed, attribute, line)
        except (tf.errors.OpError, pictures.PictureError, EOFError) as error:
            raise _damaged(place, builder.data_path, error) from error
        if name == "train" or split.labels.min() >= 0:
            splits[name] = split
    return Found(
        tuple(features["label"].names),
        splits,
        attribute_values=tuple(features[attribute].names) if attribute else (),
        validation_fraction=_VALIDATION_FRACTIONS.get(place, VALIDATION_FRACTION),
    )


def _builder(name, data_dir):
    try:
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        return _download(name, data_dir)
    except Exception as error:  # broken JSON and the like, of many kinds
        raise _damaged(name, data_dir, error) from error


def _download(name, data_dir):
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        nearest = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), n=1)
        hint = f" Did you mean tfds:{nearest[0]}?" if nearest else ""
        raise InputError(f"TensorFlow Datasets knows no data set {name!r}.{hint}") from error
    except Exception as error:
        raise InputError(f"data set {name!r} cannot be used: {_one_line(error)}") from error
    missing = f"data set {name!r} is not under {os.path.dirname(builder.data_path)!r} and could not be downloaded"
    advice = "prepare it with TensorFlow Datasets where there is a network, copy the folder and give --data_dir, or "
    advice += "use --dataset=digits"
    try:
        _check_network(builder)
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:
        raise InputError(f"{missing} ({_one_line(error)}); {advice}") from error
    return builder


def _check_network(builder):
    """TFDS itself tries for minutes, and leaves empty folders behind."""
    address = next((url for url in builder.url_infos if url.startswith("http")), None)
    if not address:
        return
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "i2p-tf"})
    with contextlib.suppress(urllib.error.HTTPError):  # somebody answered; whether the file is there, TFDS finds out
        urllib.request.urlopen(request, timeout=_CONNECT_SECONDS).close()


def _check_features(name, features):
    wanted = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(key in features and isinstance(features[key], kind) for key, kind in wanted.items()):
        found = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in features.items())
        raise InputError(f"data set {name!r} must have the features image (Image) and label (ClassLabel); has {found}")


def _check_attribute(name, features, attribute):
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    others = tuple(key for key in labels if key != "label")
    if not others:
        raise InputError(f"unknown attribute {attribute!r}: data set 'tfds:{name}' has none besides the class")
    if attribute not in others:
        raise unknown_name(f"attribute of data set 'tfds:{name}'", attribute, others)


def _sizes(name, shape, image_size):
    """The size of the result, and whether the images are stored in that size."""
    height, width = shape[:2]
    square = height is not None and height == width
    if image_size is None and not square:
        what = f"are {height}x{width}" if height and width else "have different sizes"
        raise InputError(f"the images of data set {name!r} {what}; give an --image_size to bring them to")
    return image_size or height, square and image_size in (None, height)


def _read_split(split, image_size, stored_as_needed, attribute, line):
    images = np.empty((split.num_examples, image_size, image_size, 3), np.uint8)
    labels, values = np.empty((2, split.num_examples), np.int32)
    start, waiting = 0, line.wait(f"reading {split.name}, image", split.num_examples)
    decode = _decode_with_tensorflow if stored_as_needed else _decode_with_pillow
    for encoded, batch_labels, batch_values in _records(split, attribute or "label").as_numpy_iterator():
        stop = start + len(batch_labels)
        if stop > len(labels):
            raise EOFError(f"more than {len(labels)} examples")
        images[start:stop] = decode(encoded, image_size)
        labels[start:stop], values[start:stop] = batch_labels, batch_values
        start = stop
        waiting.done(start)
    if start < len(labels):
        raise EOFError(f"{start} of {len(labels)} examples")
    return Split(images, labels, values if attribute else None)


def _stored_split(split, image_size, line):
    """The images stay in the files, in the same order."""
    files = [pathlib.Path(path) for path in split.filepaths]
    places, labels = record_index.read_all(files, line, split.name)
    if len(labels) != split.num_examples:
        raise EOFError(f"{len(labels)} of {split.num_examples} examples")
    return Split(cast(np.ndarray, StoredImages(files, places, image_size)), labels)


def _records(split, attribute):
    """Batches of images, labels and values; parsing whole batches takes a fraction of what `as_dataset` does."""
    wanted = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("label", attribute)}
    wanted["image"] = tf.io.FixedLenFeature([], tf.string)

    def parse(records):
        parsed = tf.io.parse_example(records, wanted)
        return parsed["image"], parsed["label"], parsed[attribute]

    return tf.data.TFRecordDataset(split.filepaths).batch(_BATCH).map(parse).prefetch(1)


@tf.function(reduce_retracing=True)
def _decode_with_tensorflow(encoded, image_size):
    def decode(image):
        return tf.ensure_shape(tf.io.decode_image(image, 3, expand_animations=False), (None, None, 3))

    del image_size  # they are stored in it
    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8))


def _decode_with_pillow(encoded, image_size):
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return np.stack(list(pool.map(lambda image: pictures.decode_square(image, image_size), encoded)))


def _damaged(name, path, error):
    return InputError(
        f"data set {name!r} under {str(path)!r} is damaged ({_one_line(error)}); prepare or copy it again"
    )


def _one_line(error):
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
