"""A code of at most 512 bits as a picture of flat grey blocks: drawn, cut to fewer bits, and read back.

The picture is a grid of 16x16 blocks. A block is one element of the code, two bits, and has one of four grey levels; a
fifth, the middle one, says that its element is not sent. The elements stand in the order of the rows and the first ones
are sent, so who has the drawing of the whole code makes that of fewer bits by greying the rest. There are exactly
2**bits drawings of a number of bits. The levels are so far apart that a JPEG file of quality 75 doesn't confuse them.

NumPy alone: clients draw and cut. `i2p_tf.models.layers.drawing` has the same for networks, and reads what a channel
has changed.
"""

import numpy as np

GRID = 16  # blocks in a row and in a column
ELEMENTS = GRID**2
BITS_AN_ELEMENT = 2
LEVELS = np.array([0, 64, 191, 255], np.uint8)  # of the element's four values
NOT_SENT = 128
BITS = (8, 16, 32, 64, 128, 256, 512)  # that may be sent


def draw(code: np.ndarray, image_size: int) -> np.ndarray:
    """Draws codes.

    Args:
        code: integers `(n, ELEMENTS)`, 0 to 3, or -1 for an element that is not sent.
        image_size: height and width of the pictures, a multiple of `GRID`.

    Returns:
        uint8 RGB `(n, image_size, image_size, 3)`.
    """
    side = image_size // GRID
    blocks = np.append(LEVELS, np.uint8(NOT_SENT))[np.reshape(code, (-1, GRID, GRID))]  # -1 is the last one
    return np.kron(blocks[..., np.newaxis], np.ones((1, side, side, 3), np.uint8))


def read(pictures: np.ndarray) -> np.ndarray:
    """Reads drawings as they were drawn, before any channel.

    Args:
        pictures: uint8 RGB `(n, image_size, image_size, 3)`, of `draw` or `cut`.

    Returns:
        The code, int8 `(n, ELEMENTS)`, as `draw` takes it.

    Raises:
        ValueError: if a picture is no drawing.
    """
    side = pictures.shape[1] // GRID
    corners = pictures[:, ::side, ::side, 0].reshape(-1, ELEMENTS)
    code = np.full(corners.shape, -1, np.int8)
    for value, level in enumerate(LEVELS):
        code[corners == level] = value
    if not np.array_equal(draw(code, pictures.shape[1]), pictures):
        raise ValueError("`pictures` must be drawings of codes, and one of them is none")
    return code


def cut(pictures: np.ndarray, bits: int) -> np.ndarray:
    """The drawings with their first `bits` bits alone, a member of `BITS`; the rest of the blocks is middle grey."""
    code = read(pictures)
    code[:, bits // BITS_AN_ELEMENT :] = -1
    return draw(code, pictures.shape[1])
