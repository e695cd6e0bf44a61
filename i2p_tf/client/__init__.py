"""What runs at the user's side, with NumPy, Pillow and LiteRT: never TensorFlow or Keras."""


def __getattr__(name):
    if name == "Classifier":
        from i2p_tf.client.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
