"""Quantisation-aware training: h_θ learns on with the rounding of 8-bit arithmetic in it (Jacob et al. 2018)."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from i2p_tf.config import Config
from i2p_tf.data import pipeline
from i2p_tf.export import quantize, tflite
from i2p_tf.training.recipe import fitted

if TYPE_CHECKING:
    from i2p_tf.data.dataset import Split

STEPS = 300
LEARNING_RATE = 1e-4  # of Adam: the network is trained already


def qat_model(
    transform: keras.Model, objective: Any, train: "Split", config: Config, say: Callable[[str], None]
) -> tuple[bytes, dict[str, Any]]:
    """Fine-tunes a copy of h_θ under fake quantisation and converts it to 8-bit integer arithmetic.

    Args:
        transform: h_θ, as `models.transforms.unet` builds it.
        objective: the `objectives.paper.PaperObjective` it was trained with.
        train: the training split, a `data.dataset.Split`.
        config: the `Config` of the run; its batch size, augmentation and seed are used.
        say: called with a line of progress.

    Returns:
        The bytes of a TensorFlow Lite model, and what the manifest says of how it was made.
    """
    from tensorflow_model_optimization.quantization.keras import quantize_model

    folded = tflite.fold(transform)
    quantized = quantize_model(tf_keras_twin(folded))
    representative, origin = quantize.representative_set(train)
    calibrate(quantized, folded, representative.astype(np.float32) / np.float32(255.0))

    recipe = fitted(config.transform_recipe, len(train.labels), train.images.shape[1])
    batch_size = min(recipe.batch_size, len(train.labels))
    step = _training_step(quantized, objective)
    batches = itertools.islice(_endless(train, batch_size, config), STEPS)
    losses = [float(step(images, labels)) for images, labels in batches]
    say(f"qat: {STEPS} steps, loss {np.mean(losses[:20]):.4f} -> {np.mean(losses[-20:]):.4f}")
    fine_tuning = {"steps": STEPS, "batch_size": batch_size, "learning_rate": LEARNING_RATE, "seed": config.seed}
    return tflite.converted_twin(quantized), {"representative_set": origin, "fine_tuning": fine_tuning}


def tf_keras_twin(folded: keras.Model) -> Any:
    """The network of `tflite.fold` in tf-keras, the only Keras whose models can be made to quantise.

    Args:
        folded: a functional Keras 3 model.

    Returns:
        A functional tf-keras model with the same layer names, weights and results.
    """
    import tf_keras

    tensors = {}
    for layer in folded.layers:
        if isinstance(layer, layers.InputLayer):
            tensors[layer.name] = inputs = tf_keras.Input(layer.batch_shape[1:], name=layer.name)
            continue
        sources = [tensors[tensor._keras_history.operation.name] for tensor in keras.tree.flatten(layer.input)]
        tensors[layer.name] = _twin_layer(layer)(sources if len(sources) > 1 else sources[0])
    twin = tf_keras.Model(inputs, tensors[folded.layers[-1].name])
    for layer in folded.layers:
        twin.get_layer(layer.name).set_weights(layer.get_weights())
    return twin


def calibrate(quantized: Any, folded: keras.Model, images: np.ndarray) -> None:
    """Sets the range of each activation to what the float network shows on `images`, and that of the input to [0, 1].

    tensorflow-model-optimization would start those of activations at ±6 and move them by a thousandth a step.

    Args:
        quantized: what `quantize_model` has made of the twin of `folded`.
        folded: the float network.
        images: float32 in [0, 1], `(n, height, width, 3)`.
    """
    probe = keras.Model(folded.input, [layer.output for layer in folded.layers])
    extremes = [
        [(float(np.min(output)), float(np.max(output))) for output in probe(images[i : i + 20], training=False)]
        for i in range(0, len(images), 20)
    ]
    low, high = np.min(extremes, axis=0)[:, 0], np.max(extremes, axis=0)[:, 1]
    ranges = {f"quant_{layer.name}": pair for layer, *pair in zip(folded.layers, low, high, strict=True)}
    ranges[quantized.layers[1].name] = [0.0, 1.0]  # the layer that quantises the input
    for variable in quantized.non_trainable_variables:
        layer, name = variable.name.split("/")
        if name.endswith("_min:0") and name != "kernel_min:0":  # kernels are measured in every step
            variable.assign(ranges[layer][0])
        elif name.endswith("_max:0") and name != "kernel_max:0":
            variable.assign(ranges[layer][1])


def _twin_layer(layer):
    from tf_keras import layers as twins

    match layer:
        case layers.Conv2D():
            return twins.Conv2D(layer.filters, layer.kernel_size, padding=layer.padding, name=layer.name)
        case layers.ReLU():
            return twins.ReLU(name=layer.name)
        case layers.MaxPooling2D():
            return twins.MaxPooling2D(layer.pool_size, name=layer.name)
        case layers.Concatenate():
            return twins.Concatenate(name=layer.name)
        case layers.Activation():
            return twins.Activation(layer.activation.__name__, name=layer.name)
        case tflite.NearestUpsampling():
            return twins.UpSampling2D(2, name=layer.name)
    raise TypeError(f"no tf-keras twin of {layer.name}, a {type(layer).__name__}")


def _endless(train, batch_size, config):
    for epoch in itertools.count():
        yield from pipeline.training_pipeline(train, batch_size, config.seed, config.augmentation, epoch)


def _training_step(quantized, objective):
    import tf_keras

    optimizer = tf_keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(quantized.trainable_variables)  # else the first step makes them, and is traced twice

    @tf.function(jit_compile=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = objective(images, quantized(images, training=True), labels)["loss"]
        gradients = tape.gradient(loss, quantized.trainable_variables)
        optimizer.apply_gradients(zip(gradients, quantized.trainable_variables, strict=True))
        return loss

    return step
