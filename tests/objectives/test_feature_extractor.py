"""Where φ comes from: the stock weights, a file, or the classifier."""

import dataclasses
import sys
import types

import keras
import numpy as np
import pytest

from i2p_tf import models, presets
from i2p_tf.errors import InputError
from i2p_tf.models.feature_extractor import classifier_features, vgg16_features
from i2p_tf.objectives import paper

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vgg():
    """Keras' own VGG16 without its top, with random weights and biases."""
    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    generator = np.random.default_rng(0)
    network.set_weights([generator.normal(0, 0.05, weight.shape) for weight in network.get_weights()])
    return network


@pytest.mark.parametrize("part", ["whole network", "two blocks"])
def test_from_a_file_it_computes_what_keras_does(vgg, part, tmp_path):
    cut = keras.Model(vgg.input, vgg.get_layer("block2_conv2").output)
    path = tmp_path / "vgg.weights.h5"
    (vgg if part == "whole network" else cut).save_weights(path)
    images = np.random.default_rng(1).random((2, 32, 32, 3), dtype=np.float32)
    expected = np.asarray(cut(keras.applications.vgg16.preprocess_input(images * 255.0)))
    features = vgg16_features(32, str(path))
    np.testing.assert_allclose(np.asarray(features(images)), expected, rtol=1e-3, atol=1e-3)
    assert not features.trainable_weights


def config_and_data(**changes):
    config = dataclasses.replace(presets.smoke("digits"), **changes)
    return config, types.SimpleNamespace(image_size=32)


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "resnet.weights.h5"
    models.classifier("resnet20", 32, 10).save_weights(path)
    config, dataset = config_and_data(feature_weights=str(path))
    with pytest.raises(InputError, match="resnet.weights.h5 does not hold VGG16"):
        paper._feature_extractor(config, dataset, None, None)


def test_without_a_download_the_classifiers_features_are_taken_and_it_says_so(monkeypatch):
    def no_network(**arguments):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", no_network)
    classifier = models.classifier("resnet20", 32, 10)
    lines = []
    progress = types.SimpleNamespace(stream=sys.stderr, warn=lines.append)
    extractor, description = paper._feature_extractor(*config_and_data(), classifier, progress)
    assert description == {"source": "resnet20's own features"}
    assert "URL fetch failure" in lines[0]
    assert extractor.output_shape == (None, 16, 16, 32)


def test_the_preset_paper_stops_instead(monkeypatch):
    def no_network(**arguments):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", no_network)
    with pytest.raises(InputError, match=r"VGG16 can't be had \(URL fetch failure\); give --feature_weights=FILE"):
        paper.check(presets.paper("digits"), types.SimpleNamespace(image_size=32))
    paper.check(presets.smoke("digits"), types.SimpleNamespace(image_size=32))


@pytest.mark.parametrize("name", ["resnet20", "vgg16"])
def test_the_classifiers_features_have_half_its_resolution(name):
    features = classifier_features(models.classifier(name, 32, 10))
    assert features.output_shape[1:3] == (16, 16)
    assert not features.trainable_weights
