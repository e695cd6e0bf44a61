"""Reading TFDS sets that the tests prepare themselves."""

import io

import numpy as np
import pytest
from PIL import Image

from i2p_tf.data import sources
from i2p_tf.errors import InputError

pytestmark = pytest.mark.slow


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def prepare(data_dir, splits, shape=(8, 8, 3), features=None, name="tiny"):
    """Writes `splits`, a dict from split name to `(images, labels)`, as TFDS would have prepared them."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = data_dir / name / "1.0.0"
    folder.mkdir(parents=True)
    template = tfds.core.ShardedFileTemplate(data_dir=str(folder), dataset_name=name, filetype_suffix="tfrecord")
    infos = []
    for split, (images, labels) in splits.items():
        path = folder / f"{name}-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image, label in zip(images, labels, strict=True):
                feature = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(image)])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    "brightness": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(image.mean() > 127)])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
        infos.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=[len(labels)], num_bytes=path.stat().st_size, filename_template=template
            )
        )
    features = features or {
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.ClassLabel(names=["left", "right"]),
    }
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=tfds.features.FeaturesDict(features), split_infos=infos, check_data=False
    )
    return folder


def random_split(count, seed, shape=(8, 8, 3)):
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    return images, np.arange(count) % 2


def rows(split):
    return {image.tobytes(): label for image, label in zip(split.images, split.labels, strict=True)}


def error_of(data_dir, name="tfds:tiny", **options):
    with pytest.raises(InputError) as info:
        sources.load(name, data_dir=str(data_dir), **options)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_own_test_split_is_kept_and_validation_held_out(tmp_path, capfd):
    train, test = random_split(40, 1), random_split(10, 2)
    prepare(tmp_path, {"train": train, "test": test})
    capfd.readouterr()
    dataset = sources.load("tfds:tiny", data_dir=str(tmp_path))
    assert capfd.readouterr().out == ""
    assert dataset.class_names == ("left", "right") and dataset.image_size == 8
    np.testing.assert_array_equal(dataset.test.images, test[0])
    np.testing.assert_array_equal(dataset.test.labels, test[1])
    assert [np.bincount(split.labels).tolist() for split in (dataset.train, dataset.validation)] == [[18] * 2, [2] * 2]
    assert dataset.train.images.dtype == np.uint8 and dataset.train.labels.dtype == np.int32
    read = rows(dataset.train) | rows(dataset.validation)
    assert read == {image.tobytes(): label for image, label in zip(*train, strict=True)}


def test_splits_that_the_set_does_not_have(tmp_path):
    validation = random_split(6, 3)
    prepare(tmp_path, {"train": random_split(20, 1), "validation": validation})
    dataset = sources.load("tfds:tiny", data_dir=str(tmp_path))
    np.testing.assert_array_equal(dataset.validation.images, validation[0])
    assert [np.bincount(split.labels).tolist() for split in (dataset.train, dataset.test)] == [[8, 8], [2, 2]]
    assert not rows(dataset.train).keys() & rows(dataset.test).keys()


def test_test_split_without_labels_is_left_out(tmp_path):
    images, labels = random_split(10, 2)
    prepare(tmp_path, {"train": random_split(20, 1), "test": (images, labels * 0 - 1)})
    assert np.bincount(sources.load("tfds:tiny", data_dir=str(tmp_path)).test.labels).tolist() == [2, 2]


def test_grey_becomes_rgb(tmp_path):
    images, labels = random_split(20, 1, shape=(8, 8))
    prepare(tmp_path, {"train": (images, labels), "test": (images, labels)}, shape=(8, 8, 1))
    dataset = sources.load("tfds:tiny", data_dir=str(tmp_path))
    np.testing.assert_array_equal(dataset.test.images, np.repeat(images[..., None], 3, -1))


def test_other_image_size(tmp_path):
    prepare(tmp_path, {"train": random_split(20, 1)})
    assert sources.load("tfds:tiny", data_dir=str(tmp_path), image_size=16).image_size == 16


def test_images_of_different_sizes_need_an_image_size(tmp_path):
    images = [np.full((8 + index, 30, 3), 10 * index, np.uint8) for index in range(20)]
    prepare(tmp_path, {"train": (images, np.arange(20) % 2)}, shape=(None, None, 3))
    assert "have different sizes; give an --image_size" in error_of(tmp_path)
    dataset = sources.load("tfds:tiny", data_dir=str(tmp_path), image_size=12)
    assert dataset.train.images.shape == (14, 12, 12, 3)
    assert {int(image.max()) for image in dataset.test.images} <= set(range(0, 200, 10))


def test_set_without_the_needed_features(tmp_path):
    import tensorflow_datasets as tfds

    features = {"image": tfds.features.Image(shape=(8, 8, 3)), "caption": tfds.features.Text()}
    prepare(tmp_path, {"train": random_split(4, 1)}, features=features)
    message = error_of(tmp_path)
    assert "image (Image)" in message and "caption (Text)" in message


def test_damaged_sets(tmp_path):
    for name, damage in {
        "truncated": lambda folder: shorten(folder / "truncated-train.tfrecord-00000-of-00001", 100),
        "overwritten": lambda folder: (folder / "overwritten-train.tfrecord-00000-of-00001").write_bytes(b"x" * 999),
        "emptied": lambda folder: (folder / "emptied-train.tfrecord-00000-of-00001").write_bytes(b""),
        "gone": lambda folder: (folder / "gone-train.tfrecord-00000-of-00001").unlink(),
        "unparsable": lambda folder: shorten(folder / "dataset_info.json", 20),
    }.items():
        damage(prepare(tmp_path, {"train": random_split(20, 1)}, name=name))
        message = error_of(tmp_path, f"tfds:{name}")
        assert repr(name) in message and "is damaged" in message


def test_another_feature_as_an_attribute(tmp_path):
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(8, 8, 3)),
        "label": tfds.features.ClassLabel(names=["left", "right"]),
        "brightness": tfds.features.ClassLabel(names=["dim", "bright"]),
    }
    prepare(tmp_path, {"train": random_split(40, 1), "test": random_split(10, 2)}, features=features)
    dataset = sources.load("tfds:tiny", data_dir=str(tmp_path), attribute="brightness")
    assert dataset.attribute_values == ("dim", "bright")
    for split in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_array_equal(split.attribute, split.images.mean(axis=(1, 2, 3)) > 127)
    assert "allowed: brightness" in error_of(tmp_path, attribute="label")


def test_a_set_without_another_feature_has_no_attribute(tmp_path):
    prepare(tmp_path, {"train": random_split(20, 1)})
    assert "'tfds:tiny' has none besides the class" in error_of(tmp_path, attribute="brightness")


def shorten(path, count):
    path.write_bytes(path.read_bytes()[:-count])


def test_set_that_cannot_be_had(tmp_path, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody answers there: as without a network
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    message = error_of(tmp_path / "sets", "cifar100")
    assert "'cifar100' is not under" in message and str(tmp_path / "sets") in message
    assert "--data_dir" in message and "--dataset=digits" in message
    assert not (tmp_path / "sets").exists()


def test_set_that_tfds_does_not_know(tmp_path):
    assert "Did you mean tfds:mnist?" in error_of(tmp_path, "tfds:mnits")
