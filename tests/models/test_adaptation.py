"""What an adaptation network can undo."""

import keras
import numpy as np
import pytest

from i2p_tf import encryption
from i2p_tf.models.classifiers import adaptation

pytestmark = pytest.mark.slow  # loads TensorFlow

KEY = bytes(range(encryption.KEY_BYTES))
SIZE = 8


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (600, SIZE, SIZE, 3), np.uint8)


def test_halves_are_exact(images):
    values = np.asarray(adaptation.halves(np.float32(images) / np.float32(255.0)))
    assert values.shape == (len(images), SIZE, SIZE, 6)
    halves = np.rint(values * 15).astype(np.uint8)
    np.testing.assert_allclose(values, halves / 15.0, atol=1e-6)
    np.testing.assert_array_equal(halves[..., ::2] << 4 | halves[..., 1::2], images)


@pytest.mark.parametrize("method", ["le", "ele", "etc"])
def test_it_starts_as_if_nothing_were_encrypted(method, images):
    inputs = keras.Input((SIZE, SIZE, 3))
    network = keras.Model(inputs, getattr(adaptation, method)(inputs))
    plain = np.float32(images) / np.float32(255.0)
    np.testing.assert_allclose(np.asarray(network(plain)), plain, atol=1e-5)


@pytest.mark.parametrize("method", ["le", "ele", "etc"])
def test_there_are_weights_that_undo_a_key(method, images):
    """It learns them from pairs: the network can say what the method does."""
    inputs = keras.Input((SIZE, SIZE, 3))
    network = keras.Model(inputs, getattr(adaptation, method)(inputs))
    encrypted = np.float32(encryption.scheme(method, KEY, SIZE).encrypt(images)) / np.float32(255.0)
    plain = np.float32(images) / np.float32(255.0)
    before = np.mean(np.square(np.asarray(network(encrypted)) - plain))
    network.compile(keras.optimizers.Adam(1e-2), "mse")
    network.fit(encrypted, plain, batch_size=50, epochs=40, verbose=0)
    after = np.mean(np.square(np.asarray(network(encrypted)) - plain))
    assert after < 0.5 * np.var(plain) < before


def test_pe_has_none(images):
    inputs = keras.Input((SIZE, SIZE, 3))
    classifier = keras.Model(inputs, keras.layers.Flatten()(inputs), name="some")
    pixels = np.random.default_rng(0).random((2, SIZE, SIZE, 3), dtype=np.float32)
    np.testing.assert_array_equal(adaptation.adapted(classifier, "pe")(pixels), classifier(pixels))


def test_a_classifier_of_encrypted_pictures_has_a_name_of_its_own():
    inputs = keras.Input((SIZE, SIZE, 3))
    classifier = keras.Model(inputs, keras.layers.Flatten()(inputs), name="some")
    assert adaptation.adapted(classifier, None) is classifier
    for method in encryption.SCHEMES:
        assert adaptation.adapted(classifier, method).name == f"some_{method}"
