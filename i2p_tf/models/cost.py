"""What a network costs: multiply-accumulate operations (MACs) and parameters."""

import math
from collections.abc import Iterator

import keras
from keras import layers

from i2p_tf.models.layers import minimal_filtering

_STATISTICS = ("moving_mean", "moving_variance")
# Operations of a graph that may multiply anything, or repeat what they hold: what is in them is not known.
_OPAQUE = (
    *("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"),
    *("PyFunc", "EagerPyFunc", "XlaCallModule", "CudnnRNNV3", "Conv3D"),
)
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def macs(model: keras.Model) -> int | None:
    """MACs of one image through a model: convolutions and products of matrices, biases and the rest left out.

    Of this package's networks they are those of direct convolutions, by their layers; of others they are read from
    the graph of TensorFlow, whatever layers it is made of. The functions of a SavedModel know no size of a batch: they
    are put in the place of their calls, where it is 1.

    Returns:
        An integer, or None if they can't be known: of a loop, of branches, or of code in Python.
    """
    found = list(all_layers(model))
    if any(isinstance(layer, minimal_filtering.Conv2D) for layer in found):
        return sum(map(_layer_macs, found))
    for graph in (_graph, _inlined_graph):
        try:
            return _graph_macs(graph(model))
        except (TypeError, ValueError, KeyError, AttributeError):  # a shape that is not known, or no graph at all
            continue
    return None


def parameters(model: keras.Model) -> int:
    """Trained parameters, frozen or not; the statistics of batch normalisation and of pictures are none."""
    of_pictures = [layer for layer in all_layers(model) if isinstance(layer, layers.Normalization)]
    statistics = {id(weight) for layer in of_pictures for weight in layer.weights}
    return sum(
        math.prod(weight.shape)
        for weight in model.weights
        if weight.name not in _STATISTICS and id(weight) not in statistics
    )


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, and of the models in it."""
    for layer in model.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _layer_macs(layer):
    if isinstance(layer, layers.Conv2D):
        height, width = layer.output.shape[1:3]
        return height * width * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.EinsumDense):
        kernel, result = layer.equation.partition(",")[2].split("->")
        sums = [size for axis, size in zip(kernel, layer.kernel.shape, strict=True) if axis not in result]
        return math.prod(layer.output.shape[1:]) * math.prod(sums)
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0


def _graph(model):
    return _function(model).graph


def _inlined_graph(model):
    """The graph without calls, and with the shapes that follow from those of its input."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Loops and branches stay what they are: taken apart, each would be counted once.
    return convert_variables_to_constants_v2(_function(model), lower_control_flow=False).graph


def _function(model):
    import tensorflow as tf

    image = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    return tf.function(lambda images: model(images, training=False)).get_concrete_function(image)


def _graph_macs(graph):
    """The sum over a graph and the functions that it calls; None if something in it is opaque."""
    counted = [_operation_macs(operation) for operation in graph.get_operations()]
    return None if None in counted else sum(counted)


def _operation_macs(operation):
    kind, inputs = operation.type, [tensor.shape for tensor in operation.inputs]
    if kind in _CALLS:
        return _graph_macs(operation.graph._get_function(operation.get_attr("f").name).graph)
    if kind in _OPAQUE or "FFT" in kind:
        return None
    if kind == "Conv2D":  # the kernel has the channels of one group
        return _size(operation.outputs[0].shape) * math.prod(inputs[1][:3])
    if kind == "DepthwiseConv2dNative":
        return _size(operation.outputs[0].shape) * math.prod(inputs[1][:2])
    if kind == "Conv2DBackpropInput":  # a transposed convolution, of the values in its third input
        return _size(inputs[2]) * math.prod(inputs[1][:3])
    if kind in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        turned = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        return _size(operation.outputs[0].shape) * inputs[0][-2 if turned else -1]
    return _einsum_macs(operation, inputs) if kind == "Einsum" else 0


def _einsum_macs(operation, inputs):
    terms, result = operation.get_attr("equation").decode().split("->")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms.split(","), inputs, strict=True):
        before, dots, after = term.partition("...")
        sizes |= dict(zip(before, shape[: len(before)], strict=True))
        sizes |= dict(zip(after, shape[-len(after) :], strict=True)) if dots and after else {}
    summed = [size for axis, size in sizes.items() if axis not in result]
    return _size(operation.outputs[0].shape) * math.prod(summed)


def _size(shape):
    return math.prod(shape.as_list())
