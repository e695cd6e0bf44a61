"""Drawings of codes inside networks, after real files and real scaling."""

import functools
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from i2p_tf import drawing
from i2p_tf.models.layers.drawing import VALUES, DrawnCode, ReadCode, is_drawing


def as_file(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return np.asarray(Image.open(file))


def resized(image):
    size = image.shape[0]
    larger = Image.fromarray(image).resize((2 * size, 2 * size), Image.Resampling.BILINEAR)
    return np.asarray(larger.resize((size, size), Image.Resampling.BILINEAR))


CHANNELS = {
    "png": functools.partial(as_file, format="PNG"),
    "jpeg_90": functools.partial(as_file, format="JPEG", quality=90),
    "jpeg_75": functools.partial(as_file, format="JPEG", quality=75),
    "resize_2x": resized,
}


def codes(n, bits):
    code = np.random.default_rng(bits).integers(0, 4, (n, drawing.ELEMENTS)).astype(np.int8)
    code[:, bits // drawing.BITS_AN_ELEMENT :] = -1
    return code


def in_network(code):
    return np.where(code < 0, 0.0, np.float32(VALUES)[code]), np.float32(code >= 0)


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize(("image_size", "bits"), [(32, 8), (32, 64), (32, 512), (96, 512)])
def test_a_drawing_is_read_after_its_way(channel, image_size, bits):
    code = codes(100, bits)
    arrived = np.float32([channel(picture) for picture in drawing.draw(code, image_size)]) / 255
    read = np.asarray(ReadCode()(arrived))
    elements, sent = in_network(code)
    np.testing.assert_allclose(read, np.concatenate([elements, sent], axis=1), atol=1e-6)
    assert np.asarray(is_drawing(arrived)).all()


@pytest.mark.parametrize("image_size", [16, 32, 96])
def test_networks_draw_as_numpy_does(image_size):
    code = codes(10, 512)
    drawn = np.asarray(DrawnCode(image_size)(in_network(code)[0]))
    np.testing.assert_array_equal(np.rint(drawn * 255), drawing.draw(code, image_size))


def test_pictures_are_no_drawings():
    digits = np.uint8(load_digits().images[:300] * 15.9)
    pictures = [np.asarray(Image.fromarray(digit).resize((32, 32), Image.Resampling.BILINEAR)) for digit in digits]
    assert not np.asarray(is_drawing(np.float32(pictures)[..., None].repeat(3, axis=-1) / 255)).any()
    noise = np.random.default_rng(0).random((50, 32, 32, 3))
    assert not np.asarray(is_drawing(np.float32(noise))).any()


def test_elements_behind_a_gap_are_no_drawing():
    code = codes(1, 64)
    code[0, 3] = -1
    assert not np.asarray(is_drawing(np.float32(drawing.draw(code, 32)) / 255)).any()
