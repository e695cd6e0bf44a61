import numpy as np
from PIL import Image

from i2p_tf import picture_grid


def test_rows_of_pictures_stand_below_each_other_enlarged_without_smoothing(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    picture_grid.save(tmp_path / "grid", *rows)
    grid = np.asarray(Image.open(tmp_path / "grid"))
    assert grid.shape == (2 * 96, 3 * 96, 3)
    np.testing.assert_array_equal(grid[96:192:3, 192:288:3], rows[1, 2])
    np.testing.assert_array_equal(grid[98:192:3, 194:288:3], rows[1, 2])
