"""The paper's network in three sizes, without its sigmoid."""

import functools

import keras
import numpy as np

from i2p_tf.models.transforms.unet import unet


def _correction(size_name, size, channels):
    network = unet(size_name, size, name="correction", channels=channels)
    head = network.get_layer("head")
    head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
    return keras.Model(network.input, head.output, name="correction")


tiny, small, paper = (functools.partial(_correction, size_name) for size_name in ("tiny", "small", "paper"))
