"""Image to Perturbation: visual protection of images that a classifier in the cloud still reads.

Of what, and against whom, is said in docs/threat_model.md.

The package itself imports neither TensorFlow nor Keras; what needs them is imported where it is used.
"""

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "load_transform":
        from i2p_tf.client.transform import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
