"""The Python API: what it takes, what it gives, what it refuses, and that nothing stays on the disk."""

import gc
import importlib
import os
import pathlib
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import i2p_tf
from i2p_tf import api
from i2p_tf.data import arrays
from i2p_tf.errors import InputError

SETTINGS = {"preset": "smoke", "feature_weights": "classifier", "training_images": 64, "batch_size": 64}


@pytest.fixture(scope="module", autouse=True)
def temporary(tmp_path_factory):
    """The folder that temporary ones are made in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        yield pathlib.Path(tempfile.tempdir)


@pytest.fixture(scope="module")
def model(digits):
    """0..255 to probabilities, as its user has it."""
    keras.utils.set_random_seed(0)
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(16, 3, strides=2, activation="relu"), layers.Flatten()]
    network = keras.Sequential([keras.Input((16, 16, 3)), *stack, layers.Dense(10, activation="softmax")], name="mine")
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(digits.train.images, digits.train.labels, verbose=0, epochs=4)
    return network


def pair(split):
    return split.images, split.labels


@pytest.fixture(scope="module")
def fitted(model, digits):
    settings = SETTINGS | {"name": "numbers", "verbose": False}
    return i2p_tf.fit(pair(digits.train), model, test=pair(digits.test), **settings)


@pytest.mark.slow
def test_plain_accuracy_is_that_of_keras_and_the_model_stays_as_it_was(fitted, model, digits):
    _, expected = model.evaluate(*pair(digits.test), verbose=0)
    accuracy = i2p_tf.evaluate(fitted)["accuracy"]
    assert round(accuracy["plain"] * accuracy["n"]) == round(expected * len(digits.test.labels))
    assert model.trainable and not fitted.classifier.trainable_variables


@pytest.mark.slow
def test_other_images_are_measured_and_not_kept(fitted, digits):
    before = i2p_tf.evaluate(fitted)
    other = i2p_tf.evaluate(fitted, tf.data.Dataset.from_tensor_slices(pair(digits.validation)))
    assert other["accuracy"]["n"] == len(digits.validation.labels)
    assert i2p_tf.evaluate(fitted) == before
    with pytest.raises(InputError, match="16x16 and labels below 10. Received: .*labels to 10"):
        i2p_tf.evaluate(fitted, (digits.test.images[:1], [10]))


@pytest.mark.slow
def test_an_export_protects_as_what_was_fitted_does(fitted, digits, tmp_path):
    for _ in range(2):  # `i2p_tf.export` is a package, too, once it has been imported
        manifest = i2p_tf.export(fitted, tmp_path / "bundle", ["float32"], saved_models=False)
    assert (manifest["dataset"], manifest["networks"]["classifier"]) == ("numbers", "mine")
    assert "`i2p_tf.fit` with the settings" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    images = digits.test.images[:20]
    on_device = i2p_tf.protect(i2p_tf.load(tmp_path / "bundle"), images)
    assert np.mean(np.abs(np.int16(on_device) - i2p_tf.protect(fitted, images)) <= 1) > 0.999
    with pytest.raises(InputError, match="^export=.* is not empty and no bundle"):
        i2p_tf.export(fitted, pathlib.Path(__file__).parent)


@pytest.mark.slow
def test_images_of_another_form_are_refused(fitted):
    for images in (np.zeros((1, 16, 16, 3)), np.zeros((1, 8, 8, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)):
        with pytest.raises(InputError, match=r"must be uint8 \(n, 16, 16, 3\)"):
            i2p_tf.protect(fitted, images)


@pytest.mark.slow
def test_what_it_keeps_on_the_disk_goes_with_it(digits, temporary):
    before = kept(temporary)
    body = [layers.Rescaling(1 / 255), layers.AveragePooling2D(2), layers.Flatten()]
    small = [keras.Input((16, 16, 3)), *body, layers.Dense(10)]
    network = keras.Sequential(small)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(*pair(digits.train), verbose=0, epochs=2)
    fitted = i2p_tf.fit(pair(digits.train), network, verbose=False, **SETTINGS)
    assert kept(temporary) > before
    del fitted
    gc.collect()
    assert kept(temporary) == before


def kept(folder):
    """Names in it, but for the code that TensorFlow writes and removes when the process ends."""
    return {name for name in os.listdir(folder) if not name.startswith("__autograph_generated_file")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "none"}, "unknown preset 'none'"),
        ({"class_names": ["a", "b"]}, "`class_names` has 2 names, and there is a label 9"),
        ({"image_size": 32}, "the images of `data` have 16 pixels"),
        ({"classifier_range": "-1..1"}, "^classifier=mine.keras: it classifies .* the range \\(classifier_range"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
    ],
)
def test_what_does_not_fit_leaves_nothing(settings, words, model, digits, temporary):
    before = set(os.listdir(temporary))
    with pytest.raises(InputError, match=words):
        i2p_tf.fit(pair(digits.train), model, verbose=False, **settings)
    assert set(os.listdir(temporary)) == before


def test_a_setting_that_is_not_there_is_named(digits, temporary):
    before = set(os.listdir(temporary))
    with pytest.raises(TypeError, match="'epoch'"):
        i2p_tf.fit(pair(digits.train), "resnet20", epoch=3)
    assert set(os.listdir(temporary)) == before


@pytest.mark.parametrize("data", ["no such set", pathlib.Path("nowhere")])
def test_a_folder_or_name_that_is_not_there_is_refused(data):
    with pytest.raises(InputError, match="unknown dataset"):
        i2p_tf.fit(data, verbose=False)


def test_test_pictures_do_not_go_with_a_folder(tmp_path, digits):
    with pytest.raises(InputError, match="a folder has its own in test/"):
        i2p_tf.fit(tmp_path, test=pair(digits.test), verbose=False)


@pytest.mark.parametrize("batch", [None, 32])
def test_arrays_and_datasets_are_the_same(batch, digits):
    dataset = tf.data.Dataset.from_tensor_slices(pair(digits.test))
    read = arrays.split("test", dataset.batch(batch) if batch else dataset)
    np.testing.assert_array_equal(read.images, digits.test.images)
    np.testing.assert_array_equal(read.labels, digits.test.labels)


def pictures(**changes):
    form = {"shape": (4, 8, 8, 3), "dtype": np.uint8} | changes
    return np.zeros(**form)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (pictures(dtype=np.float32), [0] * 4), "must be uint8"),
        (lambda: (pictures(shape=(4, 8, 9, 3)), [0] * 4), "must be uint8"),
        (lambda: (pictures(), [0.0] * 4), "must be integers"),
        (lambda: (pictures(), np.eye(4, dtype=int)), "must be integers"),
        (lambda: (pictures(), [0] * 3), "for 4 images"),
        (lambda: (pictures(), [-1] * 4), "integers from 0"),
        (lambda: pictures(), "must be \\(images, labels\\)"),
        (lambda: tf.data.Dataset.from_tensors(pictures()), "must be \\(images, labels\\)"),
        (lambda: tf.data.Dataset.from_tensors((pictures(), [0] * 4)).repeat(), "never ends"),
        (lambda: tf.data.Dataset.from_tensors((pictures(), [0] * 4)).take(0), "is empty"),
    ],
)
def test_data_of_another_form_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        arrays.split("data", make())


def test_every_name_is_there_and_unknown_ones_are_not():
    for name in ({*api.__all__} - {"Fitted"}) | {"load_transform"}:
        assert name in dir(i2p_tf) and callable(getattr(i2p_tf, name))
    assert importlib.import_module("i2p_tf.export") is i2p_tf.export
    with pytest.raises(AttributeError, match="no attribute 'fits'"):
        _ = i2p_tf.fits
