"""The folder of a SavedModel as ψ: it computes what it did, holds all of itself, and what is none is refused."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from i2p_tf.errors import InputError
from i2p_tf.models import cost
from i2p_tf.models.classifiers import own, saved_model
from i2p_tf.models.feature_extractor import classifier_features
from i2p_tf.models.warm_start import start_encoder
from i2p_tf.training.precision import dtype_policy

PICTURES = tf.TensorSpec((None, 8, 8, 3), tf.float32, name="pictures")


@pytest.fixture(scope="module")
def network():
    """A tiny classifier, with a gradient of its own (silu), statistics, and products over places."""
    keras.utils.set_random_seed(0)
    maps = (layers.Conv2D(4, 3, strides=2, activation="silu"), layers.BatchNormalization(), layers.Reshape((-1, 4)))
    head = (layers.Dense(5), layers.Flatten(), layers.Dense(3, activation="softmax"))
    return keras.Sequential([keras.Input((8, 8, 3)), *maps, *head])


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((5, 8, 8, 3), np.float32)


def save(function, folder, *specifications):
    """A SavedModel of a function with the signature `serving_default`."""
    module = tf.Module()
    signature = tf.function(function, input_signature=specifications or [PICTURES])
    tf.saved_model.save(module, folder, signatures={"serving_default": signature})


def by_keras(network, folder):
    network.export(folder, verbose=False)


def by_tensorflow(network, folder):
    module = tf.Module()
    module.network = network
    module.score = tf.function(lambda pictures: {"scores": network(pictures)}, input_signature=[PICTURES])
    tf.saved_model.save(module, folder, signatures=module.score)


def of_any_size(network, folder):
    x = keras.layers.GlobalAveragePooling2D()(images := keras.Input((None, None, 3)))
    model = keras.Model(images, layers.Dense(3)(x))
    model.export(folder, verbose=False)


@pytest.mark.parametrize("write", [by_keras, by_tensorflow])
def test_it_computes_what_it_did_and_holds_all_of_itself(write, network, pictures, tmp_path):
    write(network, tmp_path / "its")
    classifier = own.wrap(saved_model.load(tmp_path / "its"), "0..255")
    classifier.save(tmp_path / "psi.keras")
    shutil.rmtree(tmp_path / "its")
    with dtype_policy("mixed_bfloat16"):
        loaded = keras.models.load_model(tmp_path / "psi.keras")
    logits = loaded(pictures)
    expected = network(pictures * 255)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(logits, classifier(pictures))
    assert logits.dtype == "float32" and not loaded.trainable_weights
    assert cost.macs(loaded) == cost.macs(network) == 9 * 9 * 3 * 4 + 9 * 4 * 5 + 45 * 3
    assert cost.parameters(loaded) == cost.parameters(network)
    assert not start_encoder(network, loaded)
    with pytest.raises(InputError, match="no feature maps"):
        classifier_features(loaded)


def test_the_gradient_is_that_of_the_network(network, pictures, tmp_path):
    by_keras(network, tmp_path / "its")
    gradients = []
    for model in (network, saved_model.load(tmp_path / "its")):
        images = tf.constant(pictures)
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = model(images, training=False)[:, 0]
        gradients.append(tape.gradient(scores, images))
    assert np.abs(gradients[0]).max() > 0
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-7)


def test_a_network_of_any_size_takes_that_of_the_data(network, pictures, tmp_path):
    of_any_size(network, tmp_path / "its")
    classifier = own.wrap(saved_model.load(tmp_path / "its"), "0..1", image_size=8)
    assert classifier(pictures).shape == (5, 3) and classifier.input_shape == (None, 8, 8, 3)
    assert cost.macs(classifier) == 9


def repeated(pictures):
    for _ in tf.range(5):
        pictures = tf.matmul(pictures, tf.eye(3))
    return pictures


def branched(pictures):
    return tf.cond(tf.reduce_mean(pictures) > 0, lambda: tf.matmul(pictures, tf.eye(3)), lambda: pictures)


@pytest.mark.parametrize("function", [repeated, branched])
def test_macs_of_loops_and_branches_are_unknown_also_behind_others(function, tmp_path):
    save(lambda pictures: {"s": function(tf.matmul(scored(pictures), tf.eye(3)))}, tmp_path)
    assert cost.macs(own.wrap(saved_model.load(tmp_path), "0..1")) is None


def test_weights_in_half_precision_are_taken_as_they_are(pictures, tmp_path):
    half = tf.TensorSpec((None, 8, 8, 3), tf.float16)
    save(lambda pictures: {"scores": pictures[:, 0, 0] * 2}, tmp_path, half)
    logits = own.wrap(saved_model.load(tmp_path), "0..1")(pictures)
    assert logits.dtype == "float32"
    np.testing.assert_allclose(logits, pictures[:, 0, 0] * 2, rtol=1e-3)


def scored(pictures):
    return pictures[:, 0, 0]


def by_numpy(pictures):
    return tf.ensure_shape(tf.numpy_function(np.sin, [scored(pictures)], tf.float32), (None, 3))


def spec(shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


@pytest.mark.parametrize(
    ("function", "specifications", "words"),
    [
        (lambda one, two: {"s": scored(one + two)}, [PICTURES, spec((None, 8, 8, 3))], "has 2 inputs"),
        (lambda pictures: {"a": scored(pictures), "b": scored(pictures)}, [], r"has 2 outputs \(a, b\)"),
        (lambda pictures: {"s": tf.cast(scored(pictures), tf.float32)}, [spec((None, 8, 8, 3), tf.uint8)], "is uint8"),
        (lambda pictures: {"s": scored(pictures)}, [spec((4, 8, 8, 3))], "batches of 4 alone"),
        (lambda pictures: {"s": tf.argmax(scored(pictures), 1)}, [], "one row of scores"),
        (lambda pictures: {"s": tf.cast(scored(pictures), tf.int32)}, [], "gives int32"),
        (lambda pictures: {"s": pictures}, [], "one row of scores"),
        (lambda pictures: {"s": scored(pictures)}, [spec(None)], "does not say the shapes"),
        (lambda pictures: {"s": by_numpy(pictures)}, [], "code in Python"),
    ],
)
def test_a_signature_that_does_not_fit_is_refused(function, specifications, words, tmp_path):
    save(function, tmp_path, *specifications)
    with pytest.raises(InputError, match=words):
        saved_model.load(tmp_path)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda pictures: {"s": tf.cast(tf.cast(scored(pictures), tf.int32), tf.float32)}, "not differentiable"),
        (
            lambda pictures: {"s": scored(tf.debugging.check_numerics(pictures / 0.0, "no pictures"))},
            "fails on pictures",
        ),
    ],
)
def test_what_has_no_gradient_or_fails_is_refused(function, words, tmp_path):
    save(function, tmp_path)
    with pytest.raises(InputError, match=words):
        own.wrap(saved_model.load(tmp_path), "0..1")


def of_tensorflow_1(folder):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        pictures = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 3))
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": pictures}, {"y": scored(pictures)})


def without_signature(folder):
    tf.saved_model.save(tf.Module(), folder)


def of_two_others(folder):
    function = tf.function(lambda pictures: {"s": scored(pictures)}, input_signature=[PICTURES])
    tf.saved_model.save(tf.Module(), folder, signatures={"one": function, "two": function})


def damaged(folder):
    save(lambda pictures: {"s": scored(pictures)}, folder)
    (folder / "saved_model.pb").write_bytes(b"\xff" * 40)


def without_variables(folder):
    module = tf.Module()
    module.weight = tf.Variable(tf.ones(3))
    function = tf.function(lambda pictures: {"s": scored(pictures) * module.weight}, input_signature=[PICTURES])
    tf.saved_model.save(module, folder, signatures={"serving_default": function})
    shutil.rmtree(folder / "variables")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (of_tensorflow_1, "of TensorFlow 1"),
        (without_signature, "has no signature"),
        (of_two_others, "is called serving_default. Received: one, two"),
        (damaged, "damaged"),
        (without_variables, "can be loaded"),
        (lambda folder: (folder / "saved_model.pb").touch(), "holds no graph"),
    ],
)
def test_what_is_no_saved_model_is_refused_in_one_line(write, words, tmp_path):
    folder = tmp_path / "its"
    if write is not of_tensorflow_1:  # which makes it itself
        folder.mkdir()
    write(folder)
    with pytest.raises(InputError, match=words) as refusal:
        saved_model.load(folder)
    assert "\n" not in str(refusal.value)
