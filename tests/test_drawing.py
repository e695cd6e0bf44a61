"""Codes as pictures of flat grey blocks."""

import numpy as np
import pytest

from i2p_tf import drawing


def codes(n, bits=512):
    code = np.random.default_rng(bits).integers(0, 4, (n, drawing.ELEMENTS)).astype(np.int8)
    code[:, bits // drawing.BITS_AN_ELEMENT :] = -1
    return code


@pytest.mark.parametrize("image_size", [16, 32, 96])
@pytest.mark.parametrize("bits", drawing.BITS)
def test_a_drawing_is_read_as_it_was_drawn(image_size, bits):
    pictures = drawing.draw(codes(5, bits), image_size)
    assert pictures.shape == (5, image_size, image_size, 3)
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(drawing.read(pictures), codes(5, bits))


def test_elements_stand_in_rows_of_blocks():
    code = np.full((1, drawing.ELEMENTS), -1)
    code[0, 0], code[0, 1], code[0, 16] = 3, 0, 2
    picture = drawing.draw(code, 32)[0, ..., 0]
    assert (picture[:2, :2] == 255).all()
    assert (picture[:2, 2:4] == 0).all()
    assert (picture[2:4, :2] == 191).all()
    assert (picture[4:] == 128).all()


@pytest.mark.parametrize("bits", drawing.BITS)
def test_a_cut_drawing_has_the_first_elements_alone(bits):
    code = codes(3)
    cut = drawing.read(drawing.cut(drawing.draw(code, 32), bits))
    np.testing.assert_array_equal(cut[:, : bits // 2], code[:, : bits // 2])
    assert (cut[:, bits // 2 :] == -1).all()


def test_what_differs_behind_the_cut_is_not_sent():
    code = codes(1)
    other = code.copy()
    other[:, 32:] = 3 - other[:, 32:]
    first, second = (drawing.cut(drawing.draw(one, 32), 64) for one in (code, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("place", [(0, 1, 1, 0), (0, 31, 31, 2), (0, 5, 8, 1)])
def test_a_picture_with_one_other_pixel_is_no_drawing(place):
    pictures = drawing.draw(codes(1), 32)
    pictures[place] ^= 1
    with pytest.raises(ValueError, match="none"):
        drawing.read(pictures)
