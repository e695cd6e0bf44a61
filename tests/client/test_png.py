import io

import numpy as np
import pytest
from PIL import Image

from i2p_tf import drawing
from i2p_tf.client import png

RANDOM = np.random.default_rng(0).integers(0, 256, (7, 300, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        RANDOM,
        RANDOM[:1, :1],
        RANDOM.transpose(1, 0, 2),
        RANDOM[::-1, ::2],
        np.zeros((70, 33, 3), np.uint8),
        np.full((3, 3, 3), 255, np.uint8),
    ],
    ids=["random", "one pixel", "turned", "a view", "black", "white"],
)
def test_a_reader_sees_the_same_pixels_and_no_metadata(image):
    file = png.encode(image)
    read = Image.open(io.BytesIO(file))
    assert (read.format, read.mode, read.info) == ("PNG", "RGB", {})
    assert np.array_equal(np.asarray(read), image)
    assert len(file) <= image.nbytes + len(image) + 80


def test_drawings_stay_small():
    code = np.random.default_rng(0).integers(0, 4, (1, drawing.ELEMENTS))
    assert len(png.encode(drawing.draw(code, 96)[0])) < 96 * 96 * 3 / 20
