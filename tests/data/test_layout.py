"""Which folders are splits and which are classes, told from names alone."""

import os
import pathlib
import shutil
import tempfile
import unicodedata

import pytest

from i2p_tf.data import layout
from i2p_tf.errors import InputError


def make(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    return root


def classes_in(*folders):
    """A file in each of two classes of each folder."""
    return [f"{folder}/{name}/1.png" for folder in folders for name in ("cat", "dog")]


def error_of(root):
    with pytest.raises(InputError) as info:
        layout.find(root)
    message = str(info.value)
    assert "\n" not in message
    message.encode()
    return message


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train"], ["train"]),
        (["Train", "TEST"], ["train", "test"]),
        (["training", "testing"], ["train", "test"]),
        (["train", "val", "test"], ["train", "validation", "test"]),
        (["train", "valid"], ["train", "validation"]),
        (["Training", "Validation"], ["train", "validation"]),
        (["train", "dev", "test"], ["train", "validation", "test"]),
    ],
)
def test_splits_by_any_of_their_names(folders, splits, tmp_path):
    found = layout.find(make(tmp_path, *classes_in(*folders)))
    assert found.class_names == ("cat", "dog")
    assert {split: folder.name for split, folder in found.splits.items()} == dict(zip(splits, folders, strict=True))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (classes_in("train", "val", "valid"), ["both 'val' and 'valid'", "only one can be validation"]),
        (classes_in("train", "Train"), ["both 'Train' and 'train'", "only one can be train"]),
        ([*classes_in("train"), "test/1.png", "test/2.png"], ["folder 'test'", "no class folder"]),
        ([*classes_in("train", "test"), "extra/1.png"], ["'test'", "'extra'", "as if for a split"]),
        ([*classes_in("train"), "cat/1.png", "dog/1.png"], ["'train'", "beside 'cat', 'dog'"]),
        (["cat/1.png", "dog/1.png", "test/1.png"], ["'test'", "beside 'cat', 'dog'"]),
        (["train/1.png", "test/1.png"], ["folder 'test'", "no class folder"]),
        (classes_in("val", "test"), ["has test, val but no train folder"]),
        ([f"{name}/{split}/1.png" for name in ("cat", "dog") for split in ("train", "test")], ["'cat'", "around"]),
    ],
)
def test_what_is_not_clear_is_refused_by_name(files, words, tmp_path):
    message = error_of(make(tmp_path, *files))
    assert all(word in message for word in words), message


@pytest.mark.parametrize(("name", "other"), [("train", "bus"), ("valid", "invalid")])
def test_a_class_may_have_the_name_of_a_split(name, other, tmp_path):
    assert layout.find(make(tmp_path, f"{name}/1.png", f"{other}/1.png")).class_names == tuple(sorted((name, other)))


def test_what_systems_leave_is_no_class_and_no_picture(tmp_path):
    left = ["@eaDir/x/1.jpg", "$RECYCLE.BIN/1.jpg", "System Volume Information/1", "__MACOSX/1.jpg", "lost+found/1"]
    left += [".Trash/1.jpg", "train/@eaDir/1.jpg", "train/cat/@eaDir/1.jpg", "train/cat/._1.png", "train/cat/Thumbs.db"]
    found = layout.find(make(tmp_path, *classes_in("train", "test"), *left, "desktop.ini", "train/.DS_Store"))
    assert found.class_names == ("cat", "dog")
    assert [file.name for file in found.files("train")[0]] == ["1.png", "1.png"] and found.strays("train") == []


def test_a_folder_that_can_not_be_read_is_not_left_out():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is for its owner alone
        os.chmod(folder, 0o755)
        root = make(pathlib.Path(folder), "cat/1.png", "cat/zoo/2.png", "dog/1.png")
        found, closed = layout.find(root), root / "cat" / "zoo"
        closed.chmod(0)
        if user == 0:  # root may read everything
            os.seteuid(65534)
        try:
            with pytest.raises(InputError) as info:
                found.files("train")
        finally:
            os.seteuid(user)
            closed.chmod(0o755)
    assert str(info.value) == f"folder {str(closed)!r} cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"caf\xe9", ["'caf\\udce9'", "not UTF-8"]),
        (b"a\nb", ["'a\\nb'", "a control character"]),
        (b"a\x1b[2Jb", ["a control character"]),
        ("a\u2028b".encode(), ["a line break"]),
    ],
)
def test_a_class_name_that_no_list_of_labels_can_hold_is_refused(name, words, tmp_path):
    make(tmp_path, "plain/1.png")
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    with open(folder + b"/1.png", "wb"):
        pass
    message = error_of(tmp_path)
    assert all(word in message for word in [*words, "rename it"]), message


def test_two_unicode_forms_of_a_name_are_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    make(tmp_path, f"train/{composed}/1.png", "train/tea/1.png", f"test/{decomposed}/1.png", "test/tea/1.png")
    found = layout.find(tmp_path)
    assert found.class_names == (composed, "tea")
    assert [folder.name for folder in found.classes["test"]] == [decomposed, "tea"]
    make(tmp_path, f"train/{decomposed}/1.png")
    message = error_of(tmp_path)
    assert r"'cafe\u0301' and 'caf\xe9'" in message and "two Unicode forms" in message


def test_names_that_differ_by_little_are_told_apart(tmp_path):
    assert layout.find(make(tmp_path, "cat/1.png", "Cat/1.png", "cat /1.png")).class_names == ("Cat", "cat", "cat ")
    make(tmp_path / "splits", "train/cat/1", "train/dog/1", "test/cat /1", "test/dog/1")
    assert "only in one of them: 'cat', 'cat '" in error_of(tmp_path / "splits")


def test_of_many_differences_a_few_are_named(tmp_path):
    make(tmp_path, *[f"train/{number:02}/1" for number in range(30)], "test/x/1")
    assert "only in one of them: '00', '01', '02' and 28 more" in error_of(tmp_path)


def test_a_copy_has_the_same_fingerprint(tmp_path):
    root = make(tmp_path / "pictures", *classes_in("train", "val"), "train/cat/caf\u00e9/2.png")
    before = layout.find(root).fingerprint()
    assert before.files == {"train": (2, 1), "validation": (1, 1)}
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "copy" / "train" / "cat" / "caf\u00e9").rename(tmp_path / "copy" / "train" / "cat" / "cafe\u0301")
    (tmp_path / "copy" / "val").rename(tmp_path / "copy" / "Validation")
    now = layout.find(tmp_path / "copy").fingerprint()
    assert now == before and before.differences(now) == []


def test_a_fingerprint_says_what_has_changed(tmp_path):
    root = make(tmp_path, *classes_in("train"))
    before = layout.find(root).fingerprint()
    (root / "train" / "cat" / "1.png").write_bytes(b"another")
    assert before.differences(layout.find(root).fingerprint()) == ["pictures: as many, but of other names or sizes"]
    make(root, "train/cat/2.png")
    now = layout.find(root).fingerprint()
    assert before.differences(now) == ["files of class cat in train: 1 -> 2"] and not before.other_classes(now)
    (root / "train" / "dog").rename(root / "train" / "cow")
    now = layout.find(root).fingerprint()
    assert before.differences(now) == ["classes: only then: 'dog'; only now: 'cow'"]
    assert type(now).from_json(now.to_json()) == now
    with pytest.raises(InputError, match="not what says"):
        type(now).from_json({"files": []})
