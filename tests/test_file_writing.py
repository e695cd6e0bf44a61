import os

import pytest

from i2p_tf import files
from i2p_tf.files import write_atomically, write_bytes, write_files


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


def test_many_files_are_written_and_those_that_fail_are_told(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "old").write_bytes(b"first")
    wanted = {tmp_path / name: name.encode() for name in ("a", "new/deep/b", "file/c", "folder", "old")}
    failures = write_files(wanted)
    assert failures.keys() == {tmp_path / "file/c", tmp_path / "folder"}
    assert all(isinstance(error, OSError) and error.strerror for error in failures.values())
    assert all(path.read_bytes() == content for path, content in wanted.items() if path not in failures)
    assert sorted(os.listdir(tmp_path)) == ["a", "file", "folder", "new", "old"]
    assert os.listdir(tmp_path / "new/deep") == ["b"]


@pytest.mark.parametrize("together", [True, False])
def test_many_files_are_on_the_disk_before_they_have_their_names(together, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(files, "_SYNC_FILE_SYSTEM", (lambda _: calls.append("all")) if together else None)
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("one"))
    monkeypatch.setattr(os, "replace", lambda *_: calls.append("named"))
    write_files({tmp_path / name: b"x" for name in "abc"})
    assert calls == (["all"] if together else ["one"] * 3) + ["named"] * 3


def test_files_that_the_disk_has_lost_get_no_names(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_SYNC_FILE_SYSTEM", lambda _: -1)
    paths = [tmp_path / name for name in "abc"]
    assert write_files(dict.fromkeys(paths, b"x")).keys() == set(paths)
    assert not os.listdir(tmp_path)
