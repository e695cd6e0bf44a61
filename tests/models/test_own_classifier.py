"""Any Keras classifier as ψ: what is recognised, what is refused, and that it computes what it did."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from i2p_tf.errors import InputError
from i2p_tf.models.classifiers import own
from i2p_tf.models.classifiers.resnet import resnet
from i2p_tf.models.feature_extractor import classifier_features
from i2p_tf.models.warm_start import start_encoder
from i2p_tf.training.precision import dtype_policy


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model that is neither functional nor sequential."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3)

    def call(self, images):
        return self.dense(ops.mean(images, axis=(1, 2)))


def network(*front, head="softmax", size=16, classes=3):
    """A tiny classifier behind layers of its own."""
    body = (layers.Conv2D(4, 3, strides=2, activation="relu"), layers.BatchNormalization(), layers.Flatten())
    return keras.Sequential([keras.Input((size, size, 3)), *front, *body, layers.Dense(classes, activation=head)])


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ([layers.Rescaling(1 / 255)], "0..255"),
        ([layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1)], "0..255"),
        ([layers.Rescaling(2.0, offset=-1)], "0..1"),
        ([layers.Normalization(mean=[120.0] * 3, variance=[3000.0] * 3)], "0..255"),
        ([keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255)])], "0..255"),
        ([layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)], None),
        ([], None),
    ],
)
def test_the_range_is_recognised_by_the_first_layers(front, expected):
    assert own.recognised_range(network(*front)) == expected


@pytest.mark.parametrize(
    ("input_range", "values"),
    [("0..1", lambda x: x), ("0..255", lambda x: x * 255), ("-1..1", lambda x: x * 2 - 1)],
)
def test_it_computes_what_it_did_as_logits(input_range, values, images):
    model = network()
    classifier = own.wrap(model, input_range)
    expected = model(values(images))
    np.testing.assert_allclose(ops.softmax(classifier(images)), expected, rtol=1e-4, atol=1e-6)
    assert classifier.input_shape == (None, 16, 16, 3) and not classifier.trainable_weights


def test_a_softmax_that_is_sure_leaves_a_gradient(images):
    model = network()
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 1e4)
    classifier = own.wrap(model, "0..255")
    assert np.min(classifier(images)) < -200  # of which a softmax makes 0
    assert model.layers[-1].activation is keras.activations.softmax


def test_probabilities_of_another_layer_become_their_logarithms(images):
    body = network(head=None)
    x = body.outputs[0]
    model = keras.Model(body.inputs, layers.Identity()(ops.softmax(x)))
    np.testing.assert_allclose(own.wrap(model, "0..1")(images), np.log(model(images)), rtol=1e-5)


def test_batch_normalisation_stays_as_it_is(images):
    model = network()
    model.layers[1].set_weights([np.full(4, value, np.float32) for value in (1, 0.5, 2, 3)])
    classifier = own.wrap(model, "0..1")
    before = np.asarray(classifier(images))
    np.testing.assert_array_equal(classifier(images, training=True), before)


def test_a_network_that_fits_is_taken_as_it_is():
    model = resnet("resnet20", 16, 3)
    assert own.wrap(model) is model


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_what_was_trained_in_other_precisions_computes_in_float32(policy, images, tmp_path):
    with dtype_policy(policy):
        model = network(layers.Rescaling(1 / 255))
    model.save(tmp_path / "psi.keras")
    classifier = own.wrap(keras.models.load_model(tmp_path / "psi.keras"))
    assert {layer.compute_dtype for layer in own.plain_layers(classifier)} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    for ours, theirs in zip(classifier.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, np.float32(theirs))
    classifier.save(tmp_path / "wrapped.keras")
    loaded = keras.models.load_model(tmp_path / "wrapped.keras")
    np.testing.assert_array_equal(loaded(images), classifier(images))


def test_outputs_are_recognised():
    assert own.recognised_output(network(), "0..1", 16) == "probabilities"
    assert own.recognised_output(network(head=None), "0..1", 16) == "logits"
    assert own.recognised_output(network(head="sigmoid", classes=2), "0..1", 16) == "probabilities"


def two_inputs():
    inputs = [keras.Input((16, 16, 3)), keras.Input((16, 16, 3))]
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.add(inputs))))


def two_outputs():
    images = keras.Input((16, 16, 3))
    x = layers.Flatten()(images)
    return keras.Model(images, [layers.Dense(3)(x), layers.Dense(3)(x)])


def rounded():
    images = keras.Input((16, 16, 3))
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(ops.cast(ops.cast(images, "int32"), "float32"))))


@pytest.mark.parametrize(
    ("make", "said", "words"),
    [
        (two_inputs, {}, "has 2 inputs; a classifier has one"),
        (two_outputs, {}, "has 2 outputs; a classifier has one"),
        (rounded, {}, "not differentiable"),
        (network, {"image_size": 32}, "16x16, and these have 32x32; give --image_size=16"),
        (lambda: network(classes=1, head="sigmoid"), {}, "a single score"),
        (lambda: network(head="sigmoid"), {}, "ends in sigmoid"),
        (network, {"output": "logits"}, "sum to 1"),
        (lambda: network(head=None), {"output": "probabilities"}, "negative scores"),
        (network, {"input_range": None}, "can't be recognised; give one of 0..1, 0..255"),
        (Subclassed, {}, "not built"),
        (lambda: keras.Sequential([keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(3)]), {}, "RGB"),
        (lambda: keras.Sequential([keras.Input((16, 8, 3)), layers.Flatten(), layers.Dense(3)]), {}, "square"),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), layers.Dense(3)]), {}, "one row of scores"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_refused(make, said, words):
    with pytest.raises(InputError, match=words):
        own.wrap(make(), **{"input_range": "0..1"} | said)


def test_another_number_of_classes_is_refused():
    with pytest.raises(InputError, match="knows 3 classes, and the data have 5"):
        own.check_form(network(), 16, 5)


def test_a_subclassed_network_is_wrapped_and_shows_no_features(images):
    model = Subclassed()
    model(images)
    classifier = own.wrap(model, "0..255", image_size=16)
    np.testing.assert_allclose(classifier(images), model(images * 255), rtol=1e-5)
    with pytest.raises(InputError, match="no feature maps"):
        classifier_features(classifier)


def test_features_are_found_in_a_network_inside_another(images):
    inner = network(layers.Rescaling(1 / 255))
    features = classifier_features(own.wrap(inner))
    conv = keras.Model(inner.inputs, inner.layers[2].output)  # its last layer with feature maps
    np.testing.assert_allclose(features(images), conv(images * 255), rtol=1e-5, atol=1e-6)
    assert not features.trainable_weights


def test_an_encoder_takes_nothing_from_a_foreign_network():
    encoder, foreign = resnet("resnet20", 16, 3), network(layers.Rescaling(1 / 255))
    foreign.layers[-1].name = "logits"
    before = encoder.get_weights()
    assert not start_encoder(encoder, own.wrap(foreign))
    for ours, theirs in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert start_encoder(encoder, resnet("resnet20", 16, 3))


def test_layers_of_a_file_are_imported(tmp_path):
    (tmp_path / "its_layers.py").write_text(
        "import keras\n@keras.saving.register_keras_serializable('its')\nclass Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n        return x * 2\n"
    )
    own.import_custom_objects(str(tmp_path / "its_layers.py"))
    assert keras.saving.get_registered_object("its>Twice")
    (tmp_path / "broken_layers.py").write_text("1 / 0")
    with pytest.raises(InputError, match="can't be imported: division by zero"):
        own.import_custom_objects(str(tmp_path / "broken_layers.py"))
    with pytest.raises(InputError, match="can't be imported: No module named"):
        own.import_custom_objects("no_such_module")
