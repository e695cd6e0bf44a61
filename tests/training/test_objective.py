import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from i2p_tf.training.objective import CosineDistance, Objective, SquaredDistance, mean_cross_entropy, round_to_8_bits

pytestmark = pytest.mark.slow


class Identity:
    """A network whose output is its input, so that the objective can be computed by hand."""

    def __call__(self, images, training=False):
        assert training is False, "frozen networks run in inference mode"
        return images


class MeanColour(Identity):
    def __call__(self, images, training=False):
        return keras.ops.mean(super().__call__(images, training), axis=(1, 2))


def test_the_value_is_the_papers_formula_on_8_bit_images(images):
    plain, protected = images, 1.0 - images
    labels = np.arange(8) % 3
    distance = SquaredDistance(plain)
    np.testing.assert_allclose(distance.variance, plain.var(axis=(0, 1, 2)).mean(), rtol=1e-5)
    objective = Objective(MeanColour(), Identity(), distance, feature_loss_weight=0.5)
    terms = objective(plain, protected, labels)
    rounded = np.round(protected * 255) / 255
    logits = rounded.mean(axis=(1, 2))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cross_entropy = -np.log(probabilities[np.arange(8), labels]).mean()
    expected = np.mean((rounded - plain) ** 2) / plain.var(axis=(0, 1, 2)).mean()
    np.testing.assert_allclose(terms["cross_entropy"], cross_entropy, rtol=1e-5)
    np.testing.assert_allclose(terms["feature_distance"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], cross_entropy - 0.5 * expected, rtol=1e-5)


def test_the_feature_term_is_computed_on_the_first_share_of_the_batch(images):
    protected = images.copy()
    protected[2:] = 1.0 - protected[2:]
    quarter = Objective(MeanColour(), Identity(), SquaredDistance(images), 1.0, feature_batch_fraction=0.25)
    whole = Objective(MeanColour(), Identity(), SquaredDistance(images), 1.0)
    labels = np.zeros(8, int)
    assert float(quarter(images, protected, labels)["feature_distance"]) < 1e-4  # what rounding to 8 bits leaves
    assert float(whole(images, protected, labels)["feature_distance"]) > 0.1


def test_label_smoothing_is_that_of_keras():
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 4, 0])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    expected = float(loss(np.eye(5, dtype=np.float32)[labels], logits))
    np.testing.assert_allclose(float(mean_cross_entropy(labels, logits, 0.2)), expected, rtol=1e-5)


def test_rounding_gives_the_256_levels_and_lets_the_gradient_pass():
    import tensorflow as tf

    values = tf.constant([0.0, 0.1, 0.5, 0.9999, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        rounded = round_to_8_bits(values)
        loss = tf.reduce_sum(3.0 * rounded)
    np.testing.assert_allclose(rounded * 255, np.round(values * 255), atol=1e-4)
    np.testing.assert_array_equal(tape.gradient(loss, values), np.full(5, 3.0))


def test_two_unrelated_images_are_two_squared_distances_apart():
    features = np.random.default_rng(0).normal(3.0, 7.0, (2000, 4, 4, 8)).astype(np.float32)
    distances = SquaredDistance(features)(features[:1000], features[1000:])
    assert distances.shape == (1000,)
    np.testing.assert_allclose(np.mean(distances), 2.0, rtol=0.01)


def test_cosine_distances_of_known_features():
    generator = np.random.default_rng(0)
    mean = np.array([1.0, -2.0, 5.0], np.float32)
    plain = mean + generator.normal(size=(500, 2, 2, 3)).astype(np.float32)
    plain -= plain.mean(axis=(0, 1, 2)) - mean
    distance = CosineDistance(plain)
    centred = plain[:1] - mean
    # An angle of 90 degrees at each place: rotate the first two coordinates of vectors that have no third.
    flat = np.concatenate([centred[..., :2], 0 * centred[..., :1]], axis=-1)
    turned = np.stack([-flat[..., 1], flat[..., 0], flat[..., 2]], axis=-1)
    others = [mean + 9.0 * centred, mean - centred]  # more contrast; inverted
    np.testing.assert_allclose(
        [float(distance(plain[:1], other)[0]) for other in others] + [float(distance(mean + flat, mean + turned)[0])],
        [0.0, 2.0, 1.0],
        atol=1e-4,
    )


def test_jax_and_tensorflow_agree_on_every_model_and_the_objective():
    script = pathlib.Path(__file__).with_name("objective_value.py")
    results = {}
    for backend in ("tensorflow", "jax"):
        environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()}
        process = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        results[backend] = json.loads(process.stdout)
        assert results[backend]["backend"] == backend
    for name, expected in results["tensorflow"]["values"].items():
        np.testing.assert_allclose(results["jax"]["values"][name], expected, atol=1e-4, rtol=1e-4, err_msg=name)
