"""Names in type hints for what has no type of its own that can be checked."""

from collections.abc import Callable
from typing import Any

import numpy as np

Tensor = Any  # of Keras' backend, or an array that stands for one
Network = Any  # a `keras.Model`, where Keras is not loaded
Values = dict[str, Any]  # what is written as JSON
Say = Callable[[str], None]  # shows a line
Protect = Callable[[np.ndarray], np.ndarray]  # uint8 images to uint8 images
