import os
import stat

import pytest

from i2p_tf import key_file
from i2p_tf.errors import InputError


def test_a_new_key_is_random_and_its_owners_alone(tmp_path):
    former = os.umask(0)
    try:
        keys = [key_file.create(tmp_path / name) for name in ("a", "b")]
    finally:
        os.umask(former)
    assert keys[0] != keys[1] and len(keys[0]) == 32
    assert key_file.read(tmp_path / "a") == keys[0]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path):
    key = key_file.create(tmp_path / "key")
    with pytest.raises(InputError, match="never overwritten"):
        key_file.create(tmp_path / "key")
    assert key_file.read(tmp_path / "key") == key


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o601])
def test_a_file_that_others_may_use_is_refused(mode, tmp_path):
    key_file.create(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(InputError, match=f"mode {mode:o}.*allowed: 600"):
        key_file.read(tmp_path / "key")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_file_of_another_length_is_refused(length, tmp_path):
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_bytes(bytes(length))
    with pytest.raises(InputError, match=f"has {length} bytes; a key has 32"):
        key_file.read(tmp_path / "key")


def test_a_missing_file_and_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        key_file.read(tmp_path / "key")
    with pytest.raises(InputError, match="is no file"):
        key_file.read(tmp_path)
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        key_file.create(tmp_path / "nowhere" / "key")
