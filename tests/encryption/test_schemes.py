"""The methods against what the literature says of them, done pixel by pixel in plain Python."""

import hashlib

import numpy as np
import pytest

from i2p_tf import encryption
from i2p_tf.encryption import key_stream
from i2p_tf.encryption.scrambling import Scrambling

KEY = bytes(range(32))
SIZE = 8
FIRST_WORDS = ["0x5c139ebf990832fb", "0x83ca1707692aadc8"]  # of the label "any"


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)


def words(label, count):
    stream = hashlib.shake_256(b"i2p_tf.encryption.1\0" + label.encode() + b"\0" + KEY).digest(8 * count)
    return [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(count)]


def permutations(label, rows, length):
    numbers = words(label, rows * length)
    return [sorted(range(length), key=numbers[row * length : (row + 1) * length].__getitem__) for row in range(rows)]


def bits(label, rows, length):
    numbers = words(label, rows * length)
    return [[number % 2 for number in numbers[row * length : (row + 1) * length]] for row in range(rows)]


def blocks_of(image):
    """4x4 blocks as nested lists, row by row."""
    return [image[top : top + 4, left : left + 4].tolist() for top in (0, 4) for left in (0, 4)]


def image_of(blocks):
    upper, lower = (np.concatenate([np.array(block) for block in pair], axis=1) for pair in (blocks[:2], blocks[2:]))
    return np.concatenate([upper, lower]).astype(np.uint8)


def halves_by_hand(block, order, inverted):
    halves = [half for row in block for pixel in row for value in pixel for half in (value // 16, value % 16)]
    halves = [15 - half if flag else half for half, flag in zip(halves, inverted, strict=True)]
    halves = [halves[source] for source in order]
    return np.array([16 * upper + lower for upper, lower in zip(halves[::2], halves[1::2], strict=True)]).reshape(
        4, 4, 3
    )


def le_by_hand(image):
    (order,), (inverted,) = permutations("le.order", 1, 96), bits("le.inverted", 1, 96)
    return image_of([halves_by_hand(block, order, inverted) for block in blocks_of(image)])


def ele_by_hand(image):
    keys = zip(permutations("ele.order", 4, 96), bits("ele.inverted", 4, 96), strict=True)
    blocks = [halves_by_hand(block, *key) for block, key in zip(blocks_of(image), keys, strict=True)]
    (places,) = permutations("ele.blocks", 1, 4)
    return image_of([blocks[place] for place in places])


def pe_by_hand(image):
    inverted, orders = bits("pe.inverted", SIZE * SIZE, 3), permutations("pe.colours", SIZE * SIZE, 3)
    encrypted = []
    for pixel, flags, order in zip(image.reshape(-1, 3).tolist(), inverted, orders, strict=True):
        colours = [255 - value if flag else value for value, flag in zip(pixel, flags, strict=True)]
        encrypted.append([colours[source] for source in order])
    return np.array(encrypted, np.uint8).reshape(image.shape)


def etc_by_hand(image):
    blocks = blocks_of(image)
    (places,), (inverted,) = permutations("etc.blocks", 1, 4), bits("etc.inverted", 1, 4)
    quarters, (mirrored,) = [word % 4 for word in words("etc.quarters", 4)], bits("etc.mirrored", 1, 4)
    encrypted = []
    for index, colours in enumerate(permutations("etc.colours", 4, 3)):
        block = blocks[places[index]]
        if inverted[places[index]]:
            block = [[[255 - value for value in pixel] for pixel in row] for row in block]
        for _ in range(quarters[index]):
            block = [[block[column][3 - row] for column in range(4)] for row in range(4)]
        if mirrored[index]:
            block = [row[::-1] for row in block]
        encrypted.append([[[pixel[source] for source in colours] for pixel in row] for row in block])
    return image_of(encrypted)


BY_HAND = {"le": le_by_hand, "ele": ele_by_hand, "pe": pe_by_hand, "etc": etc_by_hand}


@pytest.mark.parametrize("name", encryption.SCHEMES)
def test_encryption_is_the_definition_done_by_hand(name, images):
    encrypted = encryption.scheme(name, KEY, SIZE).encrypt(images)
    assert encrypted.dtype == np.uint8
    for image, result in zip(images, encrypted, strict=True):
        np.testing.assert_array_equal(result, BY_HAND[name](image))


@pytest.mark.parametrize("name", encryption.SCHEMES)
@pytest.mark.parametrize("size", [4, 32, 36])
def test_the_key_gives_the_image_back_and_another_key_does_not(name, size):
    images = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), np.uint8)
    before = images.copy()
    encrypted = encryption.scheme(name, KEY, size).encrypt(images)
    np.testing.assert_array_equal(images, before)
    assert np.mean(encrypted == images) < 0.5
    np.testing.assert_array_equal(encryption.scheme(name, KEY, size).decrypt(encrypted), images)
    other = encryption.scheme(name, KEY[::-1], size)
    assert np.mean(other.decrypt(encrypted) == images) < 0.5
    assert len(encryption.scheme(name, KEY, size).encrypt(images[:0])) == 0


def test_inverting_and_shuffling_by_hand():
    image = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    order = np.arange(48)
    order[:3] = [2, 0, 1]
    inverted = np.zeros(48, bool)
    inverted[2] = True
    encrypted = Scrambling(order, inverted, 4).encrypt(image)
    assert encrypted.ravel()[:5].tolist() == [253, 0, 1, 3, 4]

    # The first byte, 0xA1, with its halves exchanged and the lower one, 1, inverted to 14.
    image[0, 0, 0, 0] = 0xA1
    order = np.arange(96)
    order[:2] = [1, 0]
    inverted = np.zeros(96, bool)
    inverted[1] = True
    assert Scrambling(order, inverted, 4).encrypt(image).ravel()[:2].tolist() == [0xEA, 1]


def test_le_treats_all_blocks_alike_and_ele_none(images):
    alike = np.tile(images[:, :4, :4], (1, 2, 2, 1))
    le, ele = (encryption.scheme(name, KEY, SIZE).encrypt(alike) for name in ("le", "ele"))
    np.testing.assert_array_equal(le[:, :4, :4], le[:, 4:, 4:])
    assert not np.array_equal(ele[:, :4, :4], ele[:, 4:, 4:])


def test_the_key_stream_is_shake_256_and_never_changes():
    np.testing.assert_array_equal(key_stream.words(KEY, "any", (2, 3)).ravel(), words("any", 6))
    assert [hex(word) for word in words("any", 2)] == FIRST_WORDS


def test_labels_and_keys_give_different_numbers():
    drawn = [key_stream.words(key, label, (4,)).tolist() for key in (KEY, KEY[::-1]) for label in ("a", "b")]
    assert len({number for numbers in drawn for number in numbers}) == 16


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("aes", KEY, 8), "unknown encryption 'aes'; allowed: le, ele, pe, etc"),
        (("le", KEY[1:], 8), "32 bytes. Received: 31"),
        (("le", KEY, 30), "multiple of 4. Received: 30"),
        (("le", KEY, 0), "multiple of 4. Received: 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        encryption.scheme(*arguments)


def test_other_images_are_refused(images):
    scheme = encryption.scheme("pe", KEY, SIZE)
    for function in (scheme.encrypt, scheme.decrypt):
        with pytest.raises(ValueError, match=r"uint8 of shape \(n, 8, 8, 3\). Received: float64"):
            function(images / 255)
        with pytest.raises(ValueError, match=r"Received: uint8 of shape \(5, 4, 8, 3\)"):
            function(images[:, :4])
