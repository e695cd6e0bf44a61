import subprocess
import sys

import numpy as np
import pytest

from i2p_tf.data import sources
from i2p_tf.data.dataset import Found, Split
from i2p_tf.errors import InputError

NAMED = ("digits", "cifar10", "cifar100")


def error_of(name):
    with pytest.raises(InputError) as info:
        sources.check_name(name)
    return str(info.value)


def test_known_names():
    for name in (*NAMED, "tfds:mnist", "tfds:imagenette/160px"):
        sources.check_name(name)


def test_unknown_names(tmp_path, monkeypatch):
    message = error_of("cifar-10")
    assert "'cifar-10'" in message and "Did you mean cifar10?" in message
    assert all(name in message for name in ("digits", "cifar10", "cifar100", "tfds:NAME", "folder:PATH"))
    assert "nothing after the colon" in error_of("folder:")
    assert "nothing after the colon" in error_of("tfds:")
    assert "allowed" in error_of("folder") and "allowed" in error_of("") and "allowed" in error_of("digits:x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    assert "Did you mean folder:pets?" in error_of("pets")


def test_folder_is_checked(tmp_path):
    assert "does not exist" in error_of(f"folder:{tmp_path}/missing")
    assert "no class folder" in error_of(f"folder:{tmp_path}")


def test_checking_a_name_loads_no_framework(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").touch()
    code = (
        "import sys; from i2p_tf.data import sources; sources.check_name('tfds:mnist');"
        f"sources.check_name('folder:{tmp_path}');"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'tensorflow_datasets', 'sklearn')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def digits():
    return sources.load("digits")


def test_digits(digits):
    assert digits.image_size == 32 and digits.class_names == tuple("0123456789")
    splits = (digits.train, digits.validation, digits.test)
    assert sum(len(split.labels) for split in splits) == 1797
    for split in splits:
        assert split.images.shape == (len(split.labels), 32, 32, 3) and split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
        corners = split.images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.mean() < 16 and split.images.max() == 255  # white on black


def test_digits_split_is_stratified_and_disjoint(digits):
    total = sum(np.bincount(split.labels) for split in (digits.train, digits.validation, digits.test))
    test, validation = np.bincount(digits.test.labels), np.bincount(digits.validation.labels)
    assert np.abs(test - 0.2 * total).max() <= 0.5
    assert np.abs(validation - 0.1 * (total - test)).max() <= 0.5
    keys = [{image.tobytes() for image in split.images} for split in (digits.train, digits.validation, digits.test)]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]


def test_digits_split_is_the_same_every_time(digits):
    again = sources.load("digits")
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(digits, name).images, getattr(again, name).images)
        np.testing.assert_array_equal(getattr(digits, name).labels, getattr(again, name).labels)


def test_digits_of_another_size():
    assert sources.load("digits", image_size=16).train.images.shape[1:] == (16, 16, 3)


def test_fewer_training_images_are_the_same_ones_every_time_and_leave_the_other_splits_alone():
    dataset = sources.load("digits")
    fewer = dataset.with_training_images(100)
    assert fewer.train.images.shape == (100, 32, 32, 3)
    np.testing.assert_array_equal(fewer.train.images, dataset.with_training_images(100).train.images)
    assert set(fewer.train.labels) == set(range(10))
    everything = {
        image.tobytes(): label for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)
    }
    assert all(
        everything[i.tobytes()] == label for i, label in zip(fewer.train.images, fewer.train.labels, strict=True)
    )
    assert fewer.test is dataset.test
    assert len(dataset.with_training_images(10**6).train.labels) == len(dataset.train.labels)


def test_a_folder_is_shown_without_its_path():
    assert sources.shown_name("folder:/home/someone/pets/") == "folder:pets"
    assert sources.shown_name("folder:caf\udce9") == r"folder:'caf\udce9'"
    assert sources.shown_name("tfds:a/b") == "tfds:a/b"


def test_a_source_of_another_package_takes_one_file_and_one_row(monkeypatch, tmp_path):
    """The toy reads one folder of squares, has an attribute, and lies somewhere on this computer."""

    def read(place, data_dir, image_size, attribute, line):
        images = np.full((20, image_size, image_size, 3), 7, np.uint8)
        labels = np.arange(20, dtype=np.int32) % 2
        return Found(("a", "b"), {"train": Split(images, labels, labels if attribute else None)}, (place,))

    monkeypatch.setattr(sources.SOURCES, "_rows", dict(sources.SOURCES))
    sources.SOURCES.register(
        sources.Source("squares", "toy", read, place="PATH", is_path=True, attributes=lambda place: ("shade",))
    )
    name, data_dir = sources.place("squares:here", str(tmp_path / "moved"))
    assert name == f"squares:{tmp_path / 'moved'}" and data_dir is None
    assert sources.shown_name(name) == "squares:moved" and sources.fingerprint(name) is None
    dataset = sources.load(name, image_size=16, attribute="shade")
    assert dataset.name == "squares:moved" and dataset.skipped == (str(tmp_path / "moved"),)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [14, 2, 4]
    with pytest.raises(InputError, match="allowed: shade"):
        sources.check_attribute(name, "colour")
    assert "squares:PATH" in error_of("squaers:x")
