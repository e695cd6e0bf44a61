import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import objective_value
import pytest

from i2p_tf import metrics, presets
from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.data.dataset import Split
from i2p_tf.errors import InputError
from i2p_tf.objectives import codebook
from i2p_tf.objectives.adversarial import AdversarialObjective, class_means, reconstruction_error
from i2p_tf.objectives.classification import TEMPERATURE, Classification, mean_cross_entropy
from i2p_tf.objectives.feature_distance import CosineDistance, SquaredDistance
from i2p_tf.objectives.paper import PaperObjective

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
    np.testing.assert_allclose(distance.unit, plain.var(axis=(0, 1, 2)).mean(), rtol=1e-5)
    objective = PaperObjective(Classification(MeanColour()), Identity(), distance, feature_loss_weight=0.5)
    terms = objective(plain, protected, labels)
    rounded = np.round(protected * 255) / 255
    logits = rounded.mean(axis=(1, 2))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cross_entropy = -np.log(probabilities[np.arange(8), labels]).mean()
    expected = np.mean((rounded - plain) ** 2) / plain.var(axis=(0, 1, 2)).mean()
    np.testing.assert_allclose(terms["cross_entropy"], cross_entropy, rtol=1e-5)
    np.testing.assert_allclose(terms["feature_distance"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], cross_entropy - 0.5 * expected, rtol=1e-5)


def test_published_units_are_those_of_the_features(images):
    distance = SquaredDistance(images, "published")
    np.testing.assert_allclose(
        distance(images, 1.0 - images), np.mean((2 * images - 1) ** 2, axis=(1, 2, 3)), rtol=1e-5
    )


def test_the_feature_term_is_computed_on_the_first_share_of_the_batch(images):
    protected = images.copy()
    protected[2:] = 1.0 - protected[2:]
    quarter = PaperObjective(
        Classification(MeanColour()), Identity(), SquaredDistance(images), 1.0, feature_batch_fraction=0.25
    )
    whole = PaperObjective(Classification(MeanColour()), Identity(), SquaredDistance(images), 1.0)
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


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_the_adversarial_value_is_its_formula_on_8_bit_images(images):
    colours = np.float32([1.0, 0.6, 0.3])
    plain, protected, labels = images, colours * images, np.arange(8) % 3

    def restore(protected):
        return 0.9 * protected / colours

    guesses = np.full((3, 16, 16, 3), 0.2, np.float32)
    objective = AdversarialObjective(Classification(MeanColour(), 0.3, 0.1), restore, guesses, 0.7)
    terms = objective(plain, protected, labels)
    rounded = np.round(protected * 255) / 255
    logits = rounded.mean(axis=(1, 2))
    cross_entropy = float(mean_cross_entropy(labels, logits, 0.1))
    teacher, student = (softmax(x.mean(axis=(1, 2)) / TEMPERATURE) for x in (plain, rounded))
    distillation = TEMPERATURE**2 * (teacher * np.log(teacher / student)).sum(axis=1).mean()
    error = float(reconstruction_error(restore(rounded), plain))
    share = error / float(reconstruction_error(np.full_like(plain, 0.2), plain))
    assert share < 1.0 and distillation > 1e-4
    expected = {
        "cross_entropy": cross_entropy,
        "distillation": distillation,
        "adversary_error": error,
        "adversary_gain": 1.0 - share,
        "loss": 0.7 * cross_entropy + 0.3 * distillation - 0.7 * share,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(float(terms[name]), value, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(terms["logits"], logits, atol=1e-5)


def test_the_reconstruction_error_is_squares_and_dissimilarity(images):
    other = images[::-1]
    expected = np.mean((images - other) ** 2) + 0.1 * (1 - np.mean(metrics.ssim(images, other)))
    np.testing.assert_allclose(float(reconstruction_error(other, images)), expected, rtol=1e-5)
    assert float(reconstruction_error(images, images)) < 1e-6


@pytest.mark.parametrize(("guess", "counts"), [(0.9, True), (0.5, False)])
def test_an_adversary_that_is_worse_than_the_guess_gives_no_gradient(images, guess, counts):
    import tensorflow as tf

    plain = tf.constant(0.5 + 0.01 * images)  # a grey of 0.5 is a very good guess, one of 0.9 a bad one
    labels = np.zeros(8, int)
    guesses = np.full((1, 16, 16, 3), guess, np.float32)
    protected = tf.constant(np.float32(images))
    gradients = []
    for weight in (0.0, 5.0):
        objective = AdversarialObjective(Classification(MeanColour()), Identity(), guesses, weight)
        objective.adversary = lambda protected: 0.6 + 0.1 * protected  # an error between those of the two guesses
        with tf.GradientTape() as tape:
            tape.watch(protected)
            loss = objective(plain, protected, labels)["loss"]
        gradients.append(tape.gradient(loss, protected).numpy())
    assert np.array_equal(*gradients) != counts


def test_the_teacher_is_not_taught(images):
    """At ψ's own outputs the distillation is at its lowest: there is nothing to gain, whatever the labels say."""
    import tensorflow as tf

    plain = tf.constant(np.round(images * 255) / 255)
    classification = Classification(MeanColour(), distillation_weight=1.0)
    with tf.GradientTape() as tape:
        tape.watch(plain)
        terms = classification(plain, classification.read(plain), np.zeros(8, int))
    np.testing.assert_allclose(tape.gradient(terms["loss"], plain), 0.0, atol=1e-6)
    np.testing.assert_allclose(float(terms["distillation"]), 0.0, atol=1e-6)


def test_the_classifier_reads_what_arrives(images):
    protected = np.round(images * 255) / 255
    objective = PaperObjective(
        Classification(MeanColour(), channel=lambda images: 0.5 * images), Identity(), SquaredDistance(images), 1.0
    )
    terms = objective(images, protected, np.zeros(8, int))
    np.testing.assert_allclose(terms["logits"], 0.5 * protected.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(float(terms["feature_distance"]), 0.0, atol=1e-4)  # the features are of what is sent


def test_a_codebook_whose_pictures_fit_into_no_file_of_a_client_is_refused_before_it_is_trained():
    config = presets.two_cores("folder:PATH")
    codebook.check(config, types.SimpleNamespace(image_size=224, num_classes=1_000))
    with pytest.raises(InputError, match="1000 of 512x512 are more than .* --image_size=296 fits, or --preset=code"):
        codebook.check(config, types.SimpleNamespace(image_size=512, num_classes=1_000))
    codebook.check(config, types.SimpleNamespace(image_size=296, num_classes=1_000))


def test_class_means_are_those_of_the_classes_and_of_all_where_a_class_is_empty():
    images = np.zeros((4, 12, 12, 3), np.uint8)
    images[:2], images[2], images[3] = 51, 102, 204
    means = class_means(Split(images, np.array([0, 0, 2, 2], np.int32)), 3)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means[:, 0, 0, 0], [0.2, 0.4, 0.6], rtol=1e-6)


def test_jax_and_tensorflow_agree_on_a_network_of_each_family_and_the_objectives():
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # nearly all the time goes into compiling
    process = subprocess.run(
        [sys.executable, objective_value.__file__], env=environment, capture_output=True, check=True
    )
    of_jax = json.loads(process.stdout)
    assert of_jax["backend"] == "jax" and keras.backend.backend() == "tensorflow"
    for name, expected in objective_value.values().items():
        np.testing.assert_allclose(of_jax["values"][name], expected, atol=1e-4, rtol=1e-4, err_msg=name)
