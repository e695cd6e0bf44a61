import numpy as np
import pytest

from i2p_tf.training import checkpoint

SHAPES = {"network": [(3,)], "optimizer": []}


def state(value):
    return {"network": [np.full(3, value, np.float32)], "optimizer": []}


def save(folder, *epochs):
    for epoch in epochs:
        checkpoint.save(folder, "classifier", epoch, state(epoch), {"history": [epoch]})


def test_the_newest_comes_back_bit_for_bit_and_two_are_kept(tmp_path):
    save(tmp_path, 1, 2, 10)
    epoch, arrays, progress = checkpoint.load(tmp_path, "classifier", SHAPES, warn=pytest.fail)
    assert (epoch, progress) == (10, {"history": [10]})
    np.testing.assert_array_equal(arrays["network"][0], state(10)["network"][0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier-0002.npz", "classifier-0010.npz"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other shape"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, damage):
    save(tmp_path, 1, 2)
    newest = tmp_path / "classifier-0002.npz"
    contents = bytearray(newest.read_bytes())
    if damage == "other shape":
        wrong = {"network": [np.zeros(4, np.float32)], "optimizer": []}
        checkpoint.save(tmp_path, "classifier", 2, wrong, {})
    elif damage == "flip":
        position = contents.index(state(2)["network"][0].tobytes())
        contents[position] ^= 0xFF
        newest.write_bytes(contents)
    else:
        newest.write_bytes(contents[: len(contents) // 2 if damage == "truncate" else 0])
    warnings = []
    epoch, arrays, _ = checkpoint.load(tmp_path, "classifier", SHAPES, warnings.append)
    assert epoch == 1
    np.testing.assert_array_equal(arrays["network"][0], state(1)["network"][0])
    assert len(warnings) == 1
    assert "classifier-0002.npz is damaged" in warnings[0]
    assert "\n" not in warnings[0]


def test_no_flipped_bit_in_a_checkpoint_stops_a_training(tmp_path):
    save(tmp_path, 1, 2)
    newest = tmp_path / "classifier-0002.npz"
    contents = newest.read_bytes()
    passed_over = 0
    for position in range(len(contents)):
        damaged = bytearray(contents)
        damaged[position] ^= 1 << position % 8
        newest.write_bytes(damaged)
        warnings = []
        epoch, arrays, progress = checkpoint.load(tmp_path, "classifier", SHAPES, warnings.append)
        assert (epoch, len(warnings)) in ((2, 0), (1, 1))  # bits that say nothing, as those of a date, are as good
        assert progress == {"history": [epoch]}
        np.testing.assert_array_equal(arrays["network"][0], state(epoch)["network"][0])
        passed_over += len(warnings)
    assert passed_over > len(contents) / 2


def test_a_name_that_is_none_of_a_checkpoint_is_left_alone(tmp_path):
    (tmp_path / "classifier-1 (copy).npz").write_bytes(b"")
    save(tmp_path, 1)
    assert checkpoint.load(tmp_path, "classifier", SHAPES, warn=pytest.fail)[0] == 1
    assert (tmp_path / "classifier-1 (copy).npz").exists()


def test_a_training_that_began_anew_keeps_its_own(tmp_path):
    save(tmp_path, 7, 8, 1, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier-0001.npz", "classifier-0002.npz"]


def test_without_a_whole_checkpoint_there_is_none(tmp_path):
    assert checkpoint.load(tmp_path, "classifier", SHAPES, warn=pytest.fail) is None
    save(tmp_path, 1)
    assert checkpoint.load(tmp_path, "transform", SHAPES, warn=pytest.fail) is None
