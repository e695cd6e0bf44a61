import os

import pytest

from i2p_tf.files import write_atomically, write_bytes


def test_a_folder_is_written_as_a_file_is(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with write_atomically(path) as temporary:
        assert temporary.suffix == ".keras"  # Keras tells formats apart by it
        temporary.mkdir()
        (temporary / "inside").touch()
    assert [entry.name for entry in path.iterdir()] == ["inside"] and os.listdir(path.parent) == [path.name]


def test_a_folder_that_fails_goes_again(tmp_path):
    with pytest.raises(ZeroDivisionError), write_atomically(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise ZeroDivisionError
    assert not os.listdir(tmp_path)


def test_an_error_without_a_name_gets_that_of_the_file(tmp_path):
    with pytest.raises(OSError) as error, write_atomically(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert error.value.filename == str(tmp_path / "a")


def test_bytes_replace_a_file(tmp_path):
    for content in (b"first", b"second"):
        write_bytes(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == b"second" and os.listdir(tmp_path) == ["a"]
