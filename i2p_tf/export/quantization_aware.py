"""Quantisation-aware training: h_θ learns on with the rounding of 8-bit arithmetic in it (Jacob et al. 2018)."""

import itertools

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from i2p_tf.data import pipeline
from i2p_tf.errors import InputError
from i2p_tf.export import tflite

STEPS = 300
LEARNING_RATE = 1e-4  # of Adam: the network is trained already
CALIBRATION_BATCHES = 20
# tensorflow-model-optimization starts the range of each activation far too wide and moves it by 1 - this a batch.
RANGE_DECAY = 0.999


def qat_model(transform, objective, train, config, say):
    """Fine-tunes a copy of h_θ under fake quantisation and converts it to 8-bit integer arithmetic.

    Args:
        transform: h_θ, as `models.unet` builds it.
        objective: the `training.objective.Objective` it was trained with.
        train: the training split, a `data.sources.Split`.
        config: the `Config` of the run; its batch size, augmentation and seed are used.
        say: called with a line of progress.

    Returns:
        The bytes of a TensorFlow Lite model, and what the manifest says of the fine-tuning.

    Raises:
        InputError: if the libraries of the extra `quantize` are not installed.
    """
    quantize_model = _quantize_model()
    twin = quantize_model(tf_keras_twin(tflite.fold(transform)))
    batch_size = min(config.transform_recipe.batch_size, len(train.labels))
    batches = _endless(train, batch_size, config)
    calibrate(twin, itertools.islice(batches, CALIBRATION_BATCHES))
    step = _training_step(twin, objective)
    losses = [float(step(images, labels)) for images, labels in itertools.islice(batches, STEPS)]
    fine_tuning = {"steps": STEPS, "batch_size": batch_size, "learning_rate": LEARNING_RATE, "seed": config.seed}
    say(f"qat: {STEPS} steps, loss {np.mean(losses[:20]):.4f} -> {np.mean(losses[-20:]):.4f}")
    return tflite.converted_twin(twin), fine_tuning


def tf_keras_twin(folded):
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


def calibrate(twin, batches):
    """Sets the range of each activation to the mean of its batches' smallest and largest values.

    In training mode each range moves by a thousandth a batch from where it starts; dividing out what is left of the
    start, as Adam does with its moments, gives the measured mean at once.

    Args:
        twin: what `quantize_model` has made.
        batches: iterable of `(images, labels)`.
    """
    ranges = [
        variable
        for variable in twin.non_trainable_variables
        if variable.name.endswith(("_min:0", "_max:0")) and "kernel" not in variable.name  # kernels follow at once
    ]
    starts = [variable.numpy() for variable in ranges]
    count = 0
    for images, _ in batches:
        twin(images, training=True)
        count += 1
    left = RANGE_DECAY**count
    for variable, start in zip(ranges, starts, strict=True):
        variable.assign((variable - left * start) / (1.0 - left))


def _quantize_model():
    try:
        from tensorflow_model_optimization.quantization.keras import quantize_model
    except ImportError as error:
        raise InputError(
            f"the variant 'qat' needs {error.name}, which is not installed; pip install 'i2p-tf[quantize]'"
        ) from error
    return quantize_model


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


def _training_step(twin, objective):
    import tf_keras

    optimizer = tf_keras.optimizers.Adam(LEARNING_RATE)

    @tf.function(jit_compile=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = objective(images, twin(images, training=True), labels)["loss"]
        gradients = tape.gradient(loss, twin.trainable_variables)
        optimizer.apply_gradients(zip(gradients, twin.trainable_variables, strict=True))
        return loss

    return step
