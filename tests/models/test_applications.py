"""Classifiers from `keras.applications`, with weights from a file."""

import keras
import numpy as np
import pytest

from i2p_tf import models
from i2p_tf.errors import InputError
from i2p_tf.models.classifiers import applications
from i2p_tf.models.classifiers.table import CLASSIFIERS


def test_it_begins_with_the_weights_of_a_file(tmp_path):
    stock = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(None, None, 3))
    stock.save_weights(tmp_path / "its.weights.h5")
    classifier = models.classifier("applications:MobileNetV3Small", 32, 3)
    applications.start(classifier, applications.backbone("MobileNetV3Small", str(tmp_path / "its.weights.h5")))
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    pooled = np.mean(stock(images * 255.0, training=False), axis=(1, 2))  # it rescales 0..255 by itself
    expected = classifier.get_layer("logits")(pooled)
    np.testing.assert_allclose(classifier(images, training=False), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="does not hold MobileNetV2 without its top"):
        applications.backbone("MobileNetV2", str(tmp_path / "its.weights.h5"))


def test_all_that_are_allowed_exist():
    names = [row.application for row in CLASSIFIERS.values() if row.application]
    assert names and not [name for name in names if not hasattr(keras.applications, name)]
