"""Image to Perturbation: images that a cloud classifier can read and people can't.

The package itself imports neither TensorFlow nor Keras; what needs them is imported where it is used.
"""

__version__ = "0.1.0"


def __getattr__(name):
    if name == "load_transform":
        from i2p_tf.client.transform import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
