"""The same TensorFlow settings for plain `pytest` as for `bin/test` and the commands."""

import os

import numpy as np
import pytest

from i2p_tf.cli.app import ENVIRONMENT

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)


@pytest.fixture
def images():
    """Eight float32 images of 16x16 in [0, 1]."""
    return np.random.default_rng(0).random((8, 16, 16, 3), dtype=np.float32)
