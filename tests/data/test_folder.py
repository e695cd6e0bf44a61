import csv
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from i2p_tf.data import folder as folder_source
from i2p_tf.data import sources
from i2p_tf.errors import InputError

COLOURS = {"ant": (200, 0, 0), "bee": (0, 200, 0), "cat": (0, 0, 200)}


def save(path, colour, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def animals(tmp_path):
    """Ten pictures of each class, of different sizes; the colour says the class."""
    root = tmp_path / "animals"
    for name, colour in COLOURS.items():
        for index in range(10):
            save(root / name / f"{index}.png", colour, size=(20 + 5 * index, 30))
    return root


def load(root, **options):
    return sources.load(f"folder:{root}", **options)


def error_of(root):
    with pytest.raises(InputError) as info:
        load(root)
    assert "\n" not in str(info.value)
    return str(info.value)


def everything(dataset):
    return [dataset.train, dataset.validation, dataset.test]


def test_reads_and_splits_class_folders(animals):
    dataset = load(animals)
    assert dataset.class_names == ("ant", "bee", "cat") and dataset.num_classes == 3
    assert dataset.image_size == 32 and dataset.skipped == ()
    assert [np.bincount(split.labels).tolist() for split in everything(dataset)] == [[7] * 3, [1] * 3, [2] * 3]
    for split in everything(dataset):
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
        expected = np.array(list(COLOURS.values()))[split.labels]
        np.testing.assert_array_equal(split.images, np.broadcast_to(expected[:, None, None], split.images.shape))


def test_same_result_every_time(animals):
    for first, second in zip(everything(load(animals)), everything(load(animals)), strict=True):
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.labels, second.labels)


def test_image_size(animals):
    assert load(animals, image_size=16).train.images.shape[1:] == (16, 16, 3)


def test_home_folder(animals, monkeypatch):
    monkeypatch.setenv("HOME", str(animals.parent))
    assert load("~/animals").num_classes == 3


def test_pictures_below_subfolders_count(animals):
    save(animals / "ant" / "africa" / "south" / "x.png", COLOURS["ant"])
    assert sum(len(split.labels) for split in everything(load(animals))) == 31


def test_files_that_are_no_pictures_are_named_and_skipped(animals):
    (animals / "ant" / "notes.txt").write_text("not a picture")
    (animals / "bee" / "sub").mkdir()
    (animals / "bee" / "sub" / "empty.jpg").touch()
    (animals / "cat" / "half.png").write_bytes((animals / "cat" / "9.png").read_bytes()[:60])
    (animals / "cat" / "self.png").symlink_to("self.png")
    (animals / "README").write_text("at the top")
    dataset = load(animals)
    assert dataset.skipped == (
        "README: not inside a class folder",
        "ant/notes.txt: not a picture of a supported format",
        "bee/sub/empty.jpg: 0 bytes",
        "cat/half.png: truncated or damaged",
        "cat/self.png: cannot be read: too many levels of symbolic links",
    )
    assert sum(len(split.labels) for split in everything(dataset)) == 30


def test_the_first_pictures_are_of_all_classes(animals):
    assert len(set(load(animals).train.labels[:9].tolist())) == 3


def test_skipped_files_do_not_shift_the_labels(animals):
    for index in range(5):
        (animals / "ant" / f"{index}_bad.png").write_text("x")
    dataset = load(animals)
    np.testing.assert_array_equal(dataset.train.images[:, 0, 0].argmax(-1), dataset.train.labels)


def test_hidden_files_are_ignored(animals):
    (animals / "ant" / ".DS_Store").write_text("x")
    (animals / "ant" / "Thumbs.db").write_text("x")
    save(animals / ".cache" / "thumbnail.png", "white")
    save(animals / "ant" / ".trash" / "x.png", "white")
    dataset = load(animals)
    assert dataset.skipped == () and dataset.class_names == ("ant", "bee", "cat")
    assert sum(len(split.labels) for split in everything(dataset)) == 30


def test_symbolic_links_neither_hang_nor_mix_classes(animals, tmp_path):
    (animals / "ant" / "up").symlink_to(animals)
    (animals / "ant" / "again").symlink_to(animals / "ant")
    (animals / "ant" / "neighbour").symlink_to(animals / "bee")
    save(tmp_path / "elsewhere" / "x.png", COLOURS["ant"])
    (animals / "ant" / "more").symlink_to(tmp_path / "elsewhere")
    dataset = load(animals)
    counts = np.sum([np.bincount(split.labels) for split in everything(dataset)], axis=0)
    assert counts.tolist() == [11, 10, 10]
    for split in everything(dataset):
        np.testing.assert_array_equal(split.images[:, 0, 0].argmax(-1), split.labels)


def test_train_and_test_folders(tmp_path):
    for split, count, grey in (("train", 10, 50), ("test", 4, 150)):
        for name in ("a", "b"):
            for index in range(count):
                save(tmp_path / split / name / f"{index}.png", (grey,) * 3)
    dataset = load(tmp_path)
    assert [np.bincount(split.labels).tolist() for split in everything(dataset)] == [[9, 9], [1, 1], [4, 4]]
    assert (dataset.test.images == 150).all()
    assert (dataset.train.images == 50).all() and (dataset.validation.images == 50).all()


def test_validation_folder(tmp_path):
    for split, grey in (("train", 50), ("validation", 100), ("test", 150)):
        for name in ("a", "b"):
            save(tmp_path / split / name / "x.png", (grey,) * 3)
    dataset = load(tmp_path)
    assert [split.images.max() for split in everything(dataset)] == [50, 100, 150]


def test_train_may_be_a_class(tmp_path):
    for name in ("bus", "train"):
        for index in range(3):
            save(tmp_path / name / f"{index}.png", "white")
    assert load(tmp_path).class_names == ("bus", "train")


def test_train_and_test_differ(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/c"):
        save(tmp_path / name / "x.png", "white")
    assert "only in one of them: 'b', 'c'" in error_of(tmp_path)


def test_test_without_train(tmp_path):
    for name in ("test/a", "test/b"):
        save(tmp_path / name / "x.png", "white")
    assert "no train folder" in error_of(tmp_path)


def test_what_is_no_data_set(tmp_path):
    assert "does not exist" in error_of(tmp_path / "missing")
    (tmp_path / "file").touch()
    assert "not a folder" in error_of(tmp_path / "file")
    root = tmp_path / "root"
    root.mkdir()
    assert "no class folder" in error_of(root)
    for name in ("a", "b"):
        (root / name).mkdir()
        (root / name / ".hidden").touch()
    assert "no class folder" in error_of(root)
    save(root / "a" / "x.png", "white")
    assert "one class only, 'a'" in error_of(root)


def test_class_with_too_few_usable_pictures(animals):
    for index in range(8):
        (animals / "bee" / f"{index}.png").write_bytes(b"")
    assert "class 'bee' has 2 usable pictures for train; at least 3 needed (8 files were skipped" in error_of(animals)


def test_three_pictures_a_class_are_enough(tmp_path):
    for name in ("a", "b"):
        for index in range(3):
            save(tmp_path / name / f"{index}.png", "white")
    for split in everything(load(tmp_path)):
        assert sorted(split.labels) == [0, 1]


def write_attributes(root, lines):
    (root / "attributes.csv").write_text("\n".join(["file,place,light", *lines]) + "\n")


def test_an_attribute_goes_with_its_picture(animals):
    """The place of a picture is told by its class and number, and every part of the set keeps it."""
    places = {f"{name}/{index}.png": f"{name[0]}{index % 2}" for name in COLOURS for index in range(10)}
    write_attributes(animals, [f"{file},{place},dim" for file, place in reversed(places.items())])
    dataset = load(animals, attribute="place")
    assert dataset.attribute_values == ("a0", "a1", "b0", "b1", "c0", "c1") and dataset.skipped == ()
    assert sum(len(split.attribute) for split in everything(dataset)) == 30
    for split in everything(dataset):
        assert split.attribute.dtype == np.int32
        np.testing.assert_array_equal(split.attribute // 2, split.labels)
    counts = sum(np.bincount(split.attribute, minlength=6) for split in everything(dataset))
    assert counts.tolist() == [5] * 6
    assert load(animals).train.attribute is None
    assert dataset.with_training_images(4).train.attribute.shape == (4,)


def test_only_pictures_that_are_used_need_an_attribute(animals):
    (animals / "ant" / "notes.txt").write_text("no picture")
    lines = [f"{name}/{index}.png,here,dim" for name in COLOURS for index in range(10)]
    write_attributes(animals, lines)
    assert load(animals, attribute="light").attribute_values == ("dim",)
    write_attributes(animals, lines[1:])
    with pytest.raises(InputError, match="attributes.csv has no line for 'ant/0.png'; 1 files lack one"):
        load(animals, attribute="light")


@pytest.mark.parametrize("line", ["ant/0.png,here", "ant/0.png,here,dim,more", "ant/0.png,here,"])
def test_a_line_that_is_not_like_the_first_is_named(animals, line):
    write_attributes(animals, [line])
    with pytest.raises(InputError, match="attributes.csv, line 2: must have 3 values"):
        load(animals, attribute="light")
    write_attributes(animals, ["", "ant/1.png,here,dim", "", "", line])
    with pytest.raises(InputError, match="attributes.csv, line 6: must have 3 values"):
        load(animals, attribute="light")


def test_a_file_that_is_listed_twice_is_named(animals):
    write_attributes(animals, ["ant/0.png,here,dim", "", "ant/0.png,there,dim"])
    with pytest.raises(InputError, match="attributes.csv, line 4: 'ant/0.png' has a line already"):
        load(animals, attribute="place")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(animals, delimiter, encoding):
    table = [["File", "place", "light"]]
    table += [[f"{name}\\{index}.png", f"a{index}", f"dim{delimiter} warm"] for name in COLOURS for index in range(10)]
    with open(animals / "attributes.csv", "w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(table)
    assert load(animals, attribute="place").attribute_values == tuple(f"a{index}" for index in range(10))
    assert load(animals, attribute="light").attribute_values == (f"dim{delimiter} warm",)


def test_a_backslash_in_the_name_of_a_file_stays(animals):
    save(animals / "ant" / "a\\b.png", "white")
    lines = [f"./{name}/{index}.png,here,dim" for name in COLOURS for index in range(10)]
    write_attributes(animals, [*lines, "ant/a\\b.png,there,dim"])
    assert load(animals, attribute="place").attribute_values == ("here", "there")


@pytest.mark.parametrize("content", ["file,gr\u00f6\u00dfe".encode("latin-1"), "file,size\n".encode("utf-16-le")])
def test_a_table_of_another_encoding_says_what_to_do(animals, content):
    (animals / "attributes.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"attributes.csv is not UTF-8; save it as CSV in UTF-8"):
        load(animals, attribute="size")


def test_file_names_in_any_bytes_are_read_and_printed_in_one_line(animals):
    odd = os.fsencode(animals / "ant") + b"/caf\xe9\n.png"
    with open(odd, "wb") as file:
        file.write((animals / "ant" / "0.png").read_bytes())
    with open(odd.replace(b"png", b"txt"), "wb") as file:
        file.write(b"no picture")
    dataset = load(animals)
    assert dataset.skipped == ("'ant/caf\\udce9\\n.txt': not a picture of a supported format",)
    assert sum(len(split.labels) for split in everything(dataset)) == 31
    write_attributes(animals, [f"{name}/{index}.png,here,dim" for name in COLOURS for index in range(10)])
    with pytest.raises(InputError, match=r"no line for 'ant/caf\\udce9\\n.png'"):
        load(animals, attribute="light")


def test_the_split_does_not_depend_on_the_unicode_form_of_names(tmp_path):
    """A copy by way of macOS has decomposed names, which sort elsewhere."""
    names = [f"{letter}\u00e9{index}.png" for letter in "ef" for index in range(5)] + [f"ef{i}.png" for i in range(5)]
    for form in ("NFC", "NFD"):
        for place, name in enumerate(names):
            for colour, folder in ((60, "caf\u00e9"), (160, "cafx")):
                save(
                    tmp_path / form / unicodedata.normalize(form, folder) / unicodedata.normalize(form, name),
                    (colour, place, 0),
                )
    composed, decomposed = (load(tmp_path / form, image_size=12) for form in ("NFC", "NFD"))
    assert composed.class_names == decomposed.class_names == ("cafx", "caf\u00e9")
    for one, other in zip(everything(composed), everything(decomposed), strict=True):
        np.testing.assert_array_equal(one.images, other.images)


def test_the_classes_are_described_with_their_counts(animals, tmp_path):
    assert load(animals).describe_classes() == "3 classes: ant (10), bee (10), cat (10)"
    for number in range(30):
        for index in range(3 + number % 2):
            save(tmp_path / "many" / f"c{number:02}" / f"{index}.png", "white", size=(2, 2))
    line = load(tmp_path / "many", image_size=12).describe_classes()
    assert line.startswith("30 classes: c00 (3), c01 (4), ") and line.endswith(", c07 (4), and 22 more (3 to 4 each)")


def test_a_large_folder_stays_on_the_disk(animals, monkeypatch):
    (animals / "ant" / "bad.png").write_text("no picture")
    expected = load(animals)
    monkeypatch.setattr(folder_source, "MOST_BYTES", 0)
    found = load(animals, stored=True)
    assert found.train.is_stored and not found.test.is_stored
    assert found.skipped == expected.skipped and len(found.skipped) == 1
    for mine, theirs in zip(everything(found), everything(expected), strict=True):
        np.testing.assert_array_equal(mine.images[:], theirs.images)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
    (animals / "bee" / "3.png").write_text("no picture any more")
    with pytest.raises(InputError, match="3.png: the picture at byte 0 is damaged"):
        assert found.train.images[:]
