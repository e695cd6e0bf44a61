"""Folders of TFRecord files, in memory and stored."""

import numpy as np
import pytest
from test_tfds import png, prepare, random_split

from i2p_tf import errors
from i2p_tf.config import Config
from i2p_tf.data import dataset, pipeline, sources, stored, tfrecord
from i2p_tf.objectives.adversarial import class_means
from i2p_tf.recipe import Recipe

pytestmark = pytest.mark.slow


def write(path, images, labels, **others):
    import tensorflow as tf

    def integer(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(images, labels, strict=True):
            encoded = image if isinstance(image, bytes) else png(image)
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
                "label": integer(label),
                "a_first_one": integer(7),
                **others,
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("records")
    images, labels = random_split(90, seed=0, shape=(16, 16, 3))
    for number in range(3):
        write(path / f"part-{number}.tfrecord", images[number::3], labels[number::3])
    return path


@pytest.fixture
def keep_nothing(monkeypatch):
    monkeypatch.setattr(dataset, "MOST_BYTES", 0)


def load(path, **arguments):
    return sources.load(f"tfrecord:{path}", **arguments)


def error_of(path, **arguments):
    with pytest.raises(errors.InputError) as info:
        load(path, **arguments)
    assert "\n" not in str(info.value)
    return str(info.value)


def batches(split, augmentation="flip_crop"):
    found = pipeline.training_pipeline(split, 8, 0, augmentation, 3).as_numpy_iterator()
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def test_stored_images_make_the_batches_of_those_in_memory(folder, keep_nothing, monkeypatch):
    found = load(folder, stored=True)
    monkeypatch.setattr(dataset, "MOST_BYTES", stored.MOST_BYTES)
    expected = load(folder, stored=True)
    assert found.train.is_stored and not expected.train.is_stored
    for mine, theirs in zip(batches(found.train), batches(expected.train), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for name in ("train", "validation", "test"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(mine.images[:], theirs.images)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
    assert not found.validation.is_stored and not found.test.is_stored
    ones = found.train.labels == 1
    np.testing.assert_allclose(found.train.take(ones).images.mean(axis=0), expected.train.images[ones].mean(axis=0))
    np.testing.assert_array_equal(found.train.images[3], expected.train.images[3])
    means = [class_means(dataset.train, 3) for dataset in (found, expected)]  # there are two: the third is that of all
    np.testing.assert_allclose(*means, rtol=1e-6)


def test_labels_stay_with_their_pictures(folder):
    images, labels = random_split(90, seed=0, shape=(16, 16, 3))
    of_picture = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    found = load(folder)
    for split in (found.train, found.validation, found.test):
        assert [of_picture.pop(image.tobytes()) for image in split.images] == split.labels.tolist()
    assert not of_picture


def test_other_commands_and_held_out_pictures_get_a_sample(folder, keep_nothing, monkeypatch):
    monkeypatch.setattr(stored, "_SAMPLED", 6)
    found = load(folder)
    assert [len(split.labels) for split in (found.train, found.validation, found.test)] == [6, 6, 6]
    assert isinstance(found.train.images, np.ndarray)


def test_files_of_splits_and_names_of_classes(tmp_path):
    for name, count in (("pets-train.tfrecord-00000-of-00001", 30), ("val.tfrecord", 6), ("test_1.tfrecord", 8)):
        write(tmp_path / name, *random_split(count, seed=count))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = load(tmp_path, image_size=12)
    assert [len(split.labels) for split in (found.train, found.validation, found.test)] == [30, 6, 8]
    assert found.class_names == ("cat", "dog") and found.image_size == 12


def test_words_of_splits_are_those_of_folders_in_any_case(tmp_path):
    for name in ("pets-Train-0.tfrecord", "Valid.tfrecord", "pets_TESTING.tfrecord"):
        (tmp_path / name).touch()
    splits = tfrecord._files(str(tmp_path))
    assert {split: [file.name for file in files] for split, files in splits.items()} == {
        "train": ["pets-Train-0.tfrecord"],
        "validation": ["Valid.tfrecord"],
        "test": ["pets_TESTING.tfrecord"],
    }


@pytest.mark.parametrize(
    ("content", "words"), [(b"cat\nd\xf6g\n", "must be UTF-8 text"), (b"cat\ndog\ncat\n", "twice: 'cat'")]
)
def test_names_of_classes_that_cannot_be_meant_are_one_line(content, words, tmp_path):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(errors.InputError, match=words):
        tfrecord._class_names(str(tmp_path))


def test_names_of_classes_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n")
    assert tfrecord._class_names(str(tmp_path)) == ("cat", "dog")


def test_a_file_that_is_gone_when_its_picture_is_wanted_is_one_line(tmp_path, keep_nothing):
    images, labels = random_split(40, seed=0, shape=(16, 16, 3))
    write(tmp_path / "train.tfrecord", images, labels)
    train = load(tmp_path, image_size=16, stored=True).train
    (tmp_path / "train.tfrecord").unlink()
    with pytest.raises(errors.InputError, match="train.tfrecord: the picture at byte .* can't be read .No such file"):
        train.images[0]


def test_a_large_set_of_tfds_is_stored(tmp_path, monkeypatch):
    from i2p_tf.data import tfds

    prepare(tmp_path, {"train": random_split(40, 0), "test": (random_split(6, 1)[0], [-1] * 6)})
    expected = sources.load("tfds:tiny", str(tmp_path))
    monkeypatch.setattr(tfds, "MOST_BYTES", 0)
    found = sources.load("tfds:tiny", str(tmp_path), stored=True)
    assert found.train.is_stored
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(found, name).images[:], getattr(expected, name).images)


def test_what_cannot_be_read_is_one_line(folder, tmp_path):
    import tensorflow as tf

    assert "does not exist" in error_of(tmp_path / "nowhere")
    assert "no file *.tfrecord* of training pictures" in error_of(tmp_path)
    file = tmp_path / "a.tfrecord"
    whole = (folder / "part-0.tfrecord").read_bytes()
    file.write_bytes(whole[:-10])
    assert error_of(tmp_path).endswith("a.tfrecord is cut off after record 29, or no uncompressed TFRecord")
    file.write_bytes(b"\x1f\x8b" * 100)
    assert "or no uncompressed TFRecord" in error_of(tmp_path)
    text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"cat"]))
    write(file, *random_split(3, 0), label=text)
    assert "record 1: must be an Example with the features image (bytes) and label (int64)" in error_of(tmp_path)
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(b"no Example")
    assert "record 1: must be an Example" in error_of(tmp_path)
    write(file, *random_split(3, 0))
    assert "at least 2 classes with at least 3 training pictures each. Received: 2 classes" in error_of(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\n")
    assert "run from 0 to 1, and classes.txt names 1 classes" in error_of(tmp_path)
    (tmp_path / "classes.txt").unlink()
    write(file, *random_split(9, 0, shape=(8, 9, 3)))
    assert "not square (9x8); give an --image_size" in error_of(tmp_path)


def test_a_damaged_picture_is_named_when_it_is_wanted(tmp_path, keep_nothing, monkeypatch):
    images, labels = random_split(30, 0)
    encoded = [png(image) for image in images]
    encoded[11] = encoded[11][:40]
    write(tmp_path / "a.tfrecord", encoded, labels)
    monkeypatch.setattr(stored, "_SAMPLED", 2)
    found = load(tmp_path, stored=True)
    with (
        pytest.raises(errors.InputError, match="a.tfrecord: the picture at byte [0-9]+ is damaged"),
        pipeline.naming_damage(found.train),
    ):
        batches(found.train)


def test_another_folder_with_the_same_files_is_the_same_data(folder, tmp_path):
    here = sources.fingerprint(f"tfrecord:{folder}")
    assert here.differences(sources.fingerprint(f"tfrecord:{folder}")) == []
    write(tmp_path / "part-0.tfrecord", *random_split(9, 0))
    assert here.differences(sources.fingerprint(f"tfrecord:{tmp_path}"))
    recipe = Recipe(1, 8, 0.1)
    ones, others = (
        Config(dataset=f"tfrecord:{path}", classifier_recipe=recipe, transform_recipe=recipe)
        for path in (folder, tmp_path)
    )
    assert ones.differences(others) == []
