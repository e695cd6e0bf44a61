"""The layers of a network, and of the networks in it: whoever made it may have nested them."""

from collections.abc import Iterator

import keras
from keras import layers

from i2p_tf.hints import Tensor


def plain_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model, and of the models in it, in their order."""
    for layer in model.layers:
        yield from plain_layers(layer) if isinstance(layer, keras.Model) and layer.layers else (layer,)


def feature_maps(model: keras.Model, images: Tensor) -> list[Tensor]:
    """The outputs of all layers that give `(batch, height, width, channels)`, in their order.

    Args:
        model: a classifier.
        images: the `keras.Input` on which it is called.

    Returns:
        Symbolic tensors; those of a model that is neither functional nor sequential are not among them.
    """
    maps = []

    def call(layer, *arguments, **options):
        if isinstance(layer, keras.Model) and len(arguments) == 1:
            return run(layer, arguments[0])
        result = layer(*arguments, **options)
        if len(getattr(result, "shape", ())) == 4 and not isinstance(layer, layers.Rescaling | layers.Normalization):
            maps.append(result)
        return result

    def run(network, x):
        if isinstance(network, keras.Sequential):
            for layer in network.layers:
                x = call(layer, x)
            return x
        if not hasattr(network, "_run_through_graph"):
            return network(x)
        # What `keras.models.clone_model` does, which takes the inputs of a graph alone.
        return network._run_through_graph(x, call_fn=call)

    run(model, images)
    return maps
