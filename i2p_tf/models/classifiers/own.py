"""Any Keras classifier as ψ: wrapped once to RGB in [0, 1] -> float32 logits, and frozen as it is."""

import importlib
import importlib.util
import json
import os
import pathlib
import re
import sys

import keras
import numpy as np
from keras import layers, ops

from i2p_tf.errors import InputError, one_line
from i2p_tf.models.inner_layers import plain_layers
from i2p_tf.models.layers.normalization import imagenet_normalization

# From [0, 1] to what a network wants; None where that is [0, 1] itself.
RANGES = {
    "0..1": lambda: None,
    "0..255": lambda: layers.Rescaling(255.0, name="range"),
    "-1..1": lambda: layers.Rescaling(2.0, offset=-1.0, name="range"),
    "imagenet": lambda: imagenet_normalization("range"),
}
OUTPUTS = ("logits", "probabilities")
SMALLEST_PROBABILITY = 1e-37  # whose logarithm is finite, and whose reciprocal is, in float32
# Layers in front of the one that tells the range: they leave it as it is.
_PASSING = ("Random", "InputLayer", "Resizing", "CenterCrop", "Cropping2D", "ZeroPadding2D", "Dropout", "Identity")


def wrap(
    model: keras.Model, input_range: str | None = None, output: str | None = None, image_size: int | None = None
) -> keras.Model:
    """Wraps a classifier to ψ's interface.

    Args:
        model: a `keras.Model` with one input, pictures `(batch, size, size, 3)`, and one output, `(batch, classes)`.
        input_range: of the pictures that it wants, a key of `RANGES`; None to recognise it by its first layers.
        output: a member of `OUTPUTS`; None to recognise it by what the network gives.
        image_size: height and width, for a network that takes any.

    Returns:
        A functional model in float32: RGB in [0, 1] to logits. `model` itself where it is that already; else it is
        inside, frozen. Where it gives
        probabilities, logits are what its last softmax was given, or else their logarithms.

    Raises:
        InputError: if it is no such network, or something has to be said that can't be recognised.
    """
    check_form(model, image_size)
    model = in_float32(model)
    size = image_size or (_inputs(model)[0].shape[1] if _inputs(model) else None)
    if size is None:
        raise InputError(f"{model.name} takes pictures of any size; `image_size` says which")
    input_range = input_range or recognised_range(model)
    if input_range is None:
        raise InputError(f"the range of the pictures that {model.name} wants can't be recognised; {_choices(RANGES)}")
    output = recognised_output(model, input_range, size, output)
    fits = _inputs(model) and model.inputs[0].shape[1:] == (size, size, 3)
    if fits and (input_range, output) == ("0..1", "logits"):
        wrapped = model
    else:
        wrapped = _ranged(model, input_range, size, output)
    check_gradient(wrapped, _noise(size))
    return wrapped


def check_form(model: keras.Model, image_size: int | None = None, num_classes: int | None = None) -> None:
    """Raises an `InputError` unless a network takes square RGB pictures and gives one row of scores.

    Args:
        model: a `keras.Model`.
        image_size: that the pictures have; None if it isn't known yet.
        num_classes: that the data have; None if it isn't known yet.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"a keras.Model is needed. Received: {type(model).__name__}")
    if not model.built:
        raise InputError(f"{model.name} is not built: call it on a batch of pictures before it is saved")
    if not _inputs(model) and not image_size:
        return  # what it takes follows from the pictures
    inputs, outputs = _shapes(model, image_size)
    for what, shapes in (("input", inputs), ("output", outputs)):
        if len(shapes) != 1:
            raise InputError(f"{model.name} has {len(shapes)} {what}s; a classifier has one")
    taken, given = inputs[0][1:], outputs[0][1:]
    if len(taken) != 3 or taken[2] != 3:
        raise InputError(f"{model.name} takes {taken}; RGB pictures are needed, (height, width, 3)")
    if taken[0] != taken[1]:
        raise InputError(f"{model.name} takes pictures of {taken[0]}x{taken[1]}; they have to be square")
    if image_size and taken[0] not in (None, image_size):
        raise InputError(
            f"{model.name} takes pictures of {taken[0]}x{taken[0]}, and these have {image_size}x{image_size}; "
            f"give --image_size={taken[0]}"
        )
    if len(given) != 1:
        raise InputError(f"{model.name} gives {given} for a picture; one row of scores is needed, (classes,)")
    if given[0] == 1:
        raise InputError(f"{model.name} gives a single score; two are needed, one for each class")
    if num_classes and given[0] != num_classes:
        raise InputError(f"{model.name} knows {given[0]} classes, and the data have {num_classes}")


def check_gradient(classifier: keras.Model, pictures: np.ndarray) -> None:
    """Raises an `InputError` unless the logits have a finite gradient by the pictures, float32 `(n, size, size, 3)`."""
    import tensorflow as tf

    images = tf.constant(pictures)
    with tf.GradientTape() as tape:
        tape.watch(images)
        chosen = tf.reduce_sum(classifier(images, training=False)[:, 0])
    try:
        gradient = tape.gradient(chosen, images)
    except LookupError:  # of an operation that has none
        gradient = None
    if gradient is None:
        raise InputError(f"{classifier.name} is not differentiable: its scores have no gradient by the picture")
    if not np.isfinite(gradient).all():
        raise InputError(f"{classifier.name} has gradients by the picture that are not finite")


def in_float32(model: keras.Model) -> keras.Model:
    """The network with the same weights in float32, whatever policy it was saved with."""
    content = json.dumps(keras.saving.serialize_keras_object(model))
    single = re.sub(r'"(mixed_)?b?float(16|64)"', '"float32"', content)
    if single == content:
        return model
    copy = keras.saving.deserialize_keras_object(json.loads(single))
    copy.set_weights(model.get_weights())
    return copy


def recognised_range(model: keras.Model) -> str | None:
    """The key of `RANGES` that the first layers tell, if they rescale or normalise; else None."""
    first = next((layer for layer in plain_layers(model) if not type(layer).__name__.startswith(_PASSING)), None)
    if isinstance(first, layers.Rescaling):
        scale = float(np.mean(first.scale))
        if scale < 0.02:  # 1/255, 1/128, 1/127.5
            return "0..255"
        return "0..1" if scale > 1.0 else None  # to -1..1, by ImageNet's deviations, to 0..255
    if isinstance(first, layers.Normalization):
        return "0..255" if float(np.max(first.mean)) > 2.0 else None
    return None


def recognised_output(model: keras.Model, input_range: str, size: int, said: str | None = None) -> str:
    """Whether a network gives logits or probabilities, by what it gives for pictures of noise.

    Args:
        model: as for `wrap`, in float32.
        input_range: of the pictures that it wants, a key of `RANGES`.
        size: height and width of the pictures.
        said: a member of `OUTPUTS`, which is checked; None if nothing was said.

    Returns:
        A member of `OUTPUTS`.

    Raises:
        InputError: if it gives independent scores, or no probabilities where these were said.
    """
    scores = _scores(_ranged(model, input_range, size), size)
    if not np.isfinite(scores).all():
        raise InputError(f"{model.name} gives scores that are not finite")
    if _activation(model) == "sigmoid":
        if scores.shape[1] > 2:
            raise InputError(f"{model.name} ends in sigmoid, with one answer for each label; softmax is needed")
        return "probabilities"
    positive = scores.min() >= 0.0
    sums_to_one = positive and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3)
    if said == "probabilities" and not positive:
        raise InputError(f"{model.name} gives negative scores, so no probabilities; leave --classifier_output out")
    if said == "logits" and sums_to_one:
        raise InputError(f"{model.name} gives scores that sum to 1, so no logits; leave --classifier_output out")
    return said or ("probabilities" if sums_to_one else "logits")


def import_custom_objects(module: str) -> None:
    """Imports the module, by its name or as a file, that registers a network's own layers.

    Raises:
        InputError: if it can't be imported.
    """
    try:
        if module.endswith(".py"):
            _import_file(pathlib.Path(module))
        else:
            importlib.import_module(module)
    except Exception as error:  # a module may raise anything
        raise InputError(f"--custom_objects={module} can't be imported: {one_line(error)}") from error


def unknown_object(error: Exception) -> str | None:
    """The name of the layer, or other object, for want of which Keras could not load a file; else None."""
    found = re.search(r"(?:Could not locate \w+|Unknown \w+:) '([^']+)'", str(error))
    return found and found.group(1)


def _import_file(path):
    name = path.stem
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded and os.path.samefile(loaded, path):
        return
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification and specification.loader  # as its name ends in .py
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)


def _activation(model):
    """The name of the activation that the last layer has; empty where there is none."""
    *_, last = plain_layers(model)
    return getattr(getattr(last, "activation", None), "__name__", "")


def _noise(size):
    """A few pictures in [0, 1]."""
    return np.random.default_rng(0).random((8, size, size, 3), dtype=np.float32)


def _scores(model, size):
    """Those of pictures of noise, float64."""
    import tensorflow as tf

    try:
        return np.asarray(model(_noise(size), training=False), np.float64)
    except tf.errors.OpError as error:
        raise InputError(f"{model.name} fails on pictures of {size}x{size}: {one_line(error)}") from error


def _ranged(model, input_range, size, output="logits"):
    """The model behind a layer for its range, with logits of its probabilities."""
    images = keras.Input((size, size, 3), name="images")
    rescale = RANGES[input_range]()
    x = rescale(images) if rescale else images
    if output == "logits":
        x = model(x)
    elif with_logits := _without_softmax(model, size):
        x = with_logits(x)
    else:
        x = ops.log(ops.maximum(model(x), SMALLEST_PROBABILITY))
    wrapped = keras.Model(images, x, name=model.name)
    wrapped.trainable = False
    return wrapped


def _without_softmax(model, size):
    """A copy whose last layer gives what its softmax was given; None where there is none that can be left out.

    The logarithm of a softmax would be the same, but for what is too small for a float and so has no gradient.
    """
    if _activation(model) != "softmax" or not _inputs(model):
        return None
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    copy.set_weights(model.get_weights())
    *_, last = plain_layers(copy)
    last.activation = keras.activations.linear
    pictures = _noise(size)
    same = np.allclose(ops.softmax(copy(pictures, training=False)), model(pictures, training=False), atol=1e-5)
    return copy if same else None


def _inputs(model):
    """The symbolic inputs of a functional or sequential model; none of another."""
    return getattr(model, "inputs", None) or []


def _shapes(model, image_size):
    """The shapes of all inputs and of all outputs; of code in Python, those that follow from the size of pictures."""
    if _inputs(model):
        return [[tensor.shape for tensor in tensors] for tensors in (model.inputs, model.outputs)]
    images = keras.Input((image_size, image_size, 3))
    try:
        outputs = keras.tree.flatten(model(images))
    except Exception as error:  # of the user's code
        raise InputError(
            f"{model.name} does not take pictures of shape {images.shape[1:]}: {one_line(error)}"
        ) from error
    return [images.shape], [output.shape for output in outputs]


def _choices(names):
    return f"give one of {', '.join(names)}"
