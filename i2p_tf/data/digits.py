"""scikit-learn's handwritten digits: 1,797 8x8 grey images, white on black, on every computer that has the package."""

import numpy as np
from PIL import Image
from sklearn import datasets

from i2p_tf import pictures
from i2p_tf.data.dataset import DEFAULT_SIZE, Found, Split
from i2p_tf.moving_line import MovingLine


def read(place: str, data_dir: str | None, image_size: int | None, attribute: str | None, line: MovingLine) -> Found:
    """Enlarges the digits by the same bicubic filter as pictures from folders.

    The strokes stay smooth, where nearest neighbour would show 4x4 tiles that any transformation reproduces.

    Args:
        place, data_dir, attribute, line: without meaning here.
        image_size: height and width of the images; None for 32.

    Returns:
        A `data.dataset.Found`.
    """
    digits, size = datasets.load_digits(), image_size or DEFAULT_SIZE
    greys = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = np.stack([np.asarray(pictures.resize(Image.fromarray(grey).convert("RGB"), size)) for grey in greys])
    return Found(tuple(map(str, range(10))), {"train": Split(images, digits.target.astype(np.int32))})
