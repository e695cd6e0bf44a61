"""From the networks of a run to what devices and servers load."""

import sys
import types
from typing import Any

from i2p_tf.tables import load

VARIANTS = ("float32", "float16", "int8", "qat")  # of the TensorFlow Lite file
DEFAULT_VARIANTS = VARIANTS[:3]  # qat trains for some minutes, and needs the extra `quantize`


class _Callable(types.ModuleType):
    """This package, and the function `i2p_tf.api.export`: Python gives both the name `i2p_tf.export`."""

    def __call__(self, *arguments: Any, **settings: Any) -> dict:
        """Writes what devices and servers load; arguments as of `i2p_tf.api.export`."""
        return load("i2p_tf.api:export")(*arguments, **settings)


sys.modules[__name__].__class__ = _Callable
