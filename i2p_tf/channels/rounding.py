"""Rounding to 8 bits, which is what every channel does at least."""

from keras import ops

from i2p_tf.hints import Tensor


def round_to_8_bits(images: Tensor) -> Tensor:
    """Images in [0, 1] at the 256 levels that travel; the gradient passes as if nothing had been rounded."""
    return images + ops.stop_gradient(ops.round(images * 255.0) / 255.0 - images)
