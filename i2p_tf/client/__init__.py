"""What runs at the user's side, with NumPy, Pillow and LiteRT: never TensorFlow or Keras."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "Classifier":
        from i2p_tf.client.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
