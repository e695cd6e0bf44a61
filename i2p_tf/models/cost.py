"""What a network costs: multiply-accumulate operations (MACs) and parameters."""

import math

import keras
from keras import layers


def macs(model):
    """MACs of one image through a functional model: convolutions and dense layers, biases and the rest left out."""
    return sum(_layer_macs(layer) for layer in _layers(model))


def parameters(model):
    """Trained parameters, frozen or not; the moving statistics of batch normalisation are none."""
    return sum(math.prod(weight.shape) for layer in _layers(model) for weight in _trained(layer))


def _layers(model):
    """The layers of a model, and of the models in it."""
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _layer_macs(layer):
    if isinstance(layer, layers.Conv2D):
        height, width = layer.output.shape[1:3]
        return height * width * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.EinsumDense):
        kernel, result = layer.equation.partition(",")[2].split("->")
        sums = [size for axis, size in zip(kernel, layer.kernel.shape, strict=True) if axis not in result]
        return math.prod(layer.output.shape[1:]) * math.prod(sums)
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0


def _trained(layer):
    statistics = ("moving_mean", "moving_variance")
    return [weight for weight in layer.weights if weight.name not in statistics]
