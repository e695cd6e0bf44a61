"""Image to Perturbation: visual protection of images that a classifier in the cloud still reads.

Of what, and against whom, is said in docs/threat_model.md.

The package itself imports neither TensorFlow nor Keras; what needs them is imported where it is used.
"""

import importlib
from typing import Any

__version__ = "0.2.0"
# Where the functions of the public API are; `i2p_tf.load` and its former name need no TensorFlow.
_PUBLIC = {
    **dict.fromkeys(("attack", "evaluate", "fit", "protect"), "i2p_tf.api"),
    **dict.fromkeys(("load", "load_transform"), "i2p_tf.client.transform"),
}


def __getattr__(name: str) -> Any:
    if name == "export":  # the package of that name can be called
        return importlib.import_module("i2p_tf.export")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), "load" if name == "load_transform" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, "export"])
