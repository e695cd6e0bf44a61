"""One table of golden cases through every invariant."""

import math

import keras
import numpy as np
import pytest

from i2p_tf import models
from i2p_tf.models import cost
from i2p_tf.models.adversary import adversary
from i2p_tf.models.classifiers.adaptation import adapted
from i2p_tf.models.transforms.bottleneck import SIZES, bottleneck
from i2p_tf.models.transforms.codebook import Word, codebook
from i2p_tf.models.transforms.unet import unet
from i2p_tf.models.warm_start import start_encoder

pytestmark = pytest.mark.slow

# Name, how it is built at 32x32, trained parameters, MACs of one image. The U-Net's and ResNet-20's parameters are
# the published ones; He et al. give 0.27, 0.46, 0.66 and 0.85 million for the residual networks.
GOLDEN = {
    "unet_paper": (lambda: unet("paper", 32), 34_527_171, 1_021_181_952),
    "unet_small": (lambda: unet("small", 32), 537_459, 48_857_088),
    "unet_tiny": (lambda: unet("tiny", 32), 33_051, 8_503_296),
    "codebook": (lambda: models.transform("codebook", 32, 10), 226_458, 35_863_168),
    "codebook_small": (lambda: models.transform("codebook_small", 32, 10), 179_994, 16_988_800),
    "codebook_tiny": (lambda: models.transform("codebook_tiny", 32, 10), 106_010, 12_270_208),
    "bottleneck": (lambda: models.transform("bottleneck", 32, 10), 238_419, 39_846_912),
    "bottleneck_small": (lambda: models.transform("bottleneck_small", 32, 10), 190_563, 19_571_712),
    "resnet20": (lambda: models.classifier("resnet20", 32, 10), 269_722, 40_551_040),
    "resnet32": (lambda: models.classifier("resnet32", 32, 10), 464_154, 68_862_592),
    "resnet44": (lambda: models.classifier("resnet44", 32, 10), 658_586, 97_174_144),
    "resnet56": (lambda: models.classifier("resnet56", 32, 10), 853_018, 125_485_696),
    "resnet20 for LE": (lambda: models.classifier("resnet20", 32, 10, "le"), 274_378, 40_845_952),
    "resnet20 for ELE": (lambda: models.classifier("resnet20", 32, 10, "ele"), 571_802, 41_042_560),
    "resnet20 for PE": (lambda: models.classifier("resnet20", 32, 10, "pe"), 269_722, 40_551_040),
    "resnet20 for EtC": (lambda: models.classifier("resnet20", 32, 10, "etc"), 424_346, 40_895_104),
    "vgg16": (lambda: models.classifier("vgg16", 32, 10), 15_253_578, 313_725_952),
}


# One network of each family, the smallest: what holds for all sizes is tried on these.
FAMILIES = {
    "unet": lambda: unet("tiny", 32),
    "codebook": lambda: models.transform("codebook_tiny", 32, 10),
    "bottleneck": lambda: models.transform("bottleneck_small", 32, 10),
    "resnet20": lambda: models.classifier("resnet20", 32, 10),
    "vgg16": lambda: models.classifier("vgg16", 32, 10),
    **{f"{key} in front": lambda key=key: adapted(plain_classifier(), key) for key in ("le", "ele", "etc")},
}


def plain_classifier():
    """The least that an adaptation network can stand in front of."""
    images = keras.Input((32, 32, 3))
    return keras.Model(images, keras.layers.Dense(10, dtype="float32")(keras.layers.Flatten()(images)), name="plain")


@pytest.fixture(scope="module", params=FAMILIES)
def network(request):
    build = FAMILIES[request.param]
    keras.utils.set_random_seed(0)
    return build, build()


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters_and_macs(name):
    build, parameters, macs = GOLDEN[name]
    model = build()
    assert cost.parameters(model) == parameters
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == parameters
    assert cost.macs(model) == macs


def macs(name):
    """As the test above has found them to be."""
    return GOLDEN[name][2]


def test_output_shape_range_and_gradient(network, batch):
    import tensorflow as tf

    _, model = network
    with tf.GradientTape() as tape:
        outputs = model(batch, training=True)
        loss = tf.reduce_mean(tf.square(outputs))
    expected = (4, 32, 32, 3) if model.name == "transform" else (4, 10)
    assert tuple(outputs.shape) == expected
    assert np.isfinite(outputs).all()
    if model.name == "transform":
        assert np.min(outputs) >= 0.0 and np.max(outputs) <= 1.0
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_saved_and_loaded_it_computes_the_same(network, batch, tmp_path):
    _, model = network
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = np.asarray(model(batch, training=False))
    np.testing.assert_array_equal(np.asarray(loaded(batch, training=False)), expected)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_in_mixed_precision_it_gives_float32_near_the_full_one(network, batch, policy):
    from i2p_tf.training.precision import dtype_policy

    build, model = network
    with dtype_policy(policy):
        mixed = build()
    assert keras.config.dtype_policy().name == "float32"
    mixed.set_weights(model.get_weights())
    outputs = np.asarray(mixed(batch, training=False))
    assert outputs.dtype == np.float32
    expected = np.asarray(model(batch, training=False))
    assert np.max(np.abs(outputs - expected)) < 0.05 * (1.0 + np.max(np.abs(expected)))


def test_an_image_that_the_bottleneck_can_not_halve_twice_is_refused():
    with pytest.raises(ValueError, match="multiple of 4. Received: 30"):
        bottleneck("bottleneck", 30)


def test_an_image_that_the_unet_can_not_halve_names_the_next_fitting_size():
    with pytest.raises(ValueError, match="multiple of 16.*next one is 48.*Received: 33"):
        unet("paper", 33)


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="unknown classifier 'resnet18'; allowed: resnet20"):
        models.classifier("resnet18", 32, 10)
    with pytest.raises(ValueError, match="unknown transform 'huge'; allowed: .*paper.*bottleneck"):
        models.transform("huge", 32, 10)


@pytest.mark.parametrize(("size", "share"), [("bottleneck", 1.0), ("bottleneck_small", 0.5)])
def test_a_bottleneck_costs_at_most_its_share_of_a_resnet20(size, share):
    assert macs(size) <= share * macs("resnet20")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_passes_the_code(size, batch):
    model = bottleneck(size, 32)
    code = model.get_layer("code").output
    encoder, decoder = keras.Model(model.input, code), keras.Model(code, model.output)  # raises if there is a way round
    values = np.asarray(encoder(batch, training=False))
    assert values.shape == (4, SIZES[size].code_units) and values.min() >= 0.0 and values.max() <= 1.0
    np.testing.assert_array_equal(decoder(values, training=False), model(batch, training=False))


@pytest.mark.parametrize("size", SIZES)
def test_the_encoder_can_start_from_the_classifiers_trunk(size, batch):
    keras.utils.set_random_seed(0)
    classifier, transform = models.classifier("resnet20", 32, 10), bottleneck(size, 32)
    before = {weight.path: weight.numpy() for weight in transform.weights}
    start_encoder(transform, classifier)
    for layer in ("stem_conv", "stage3_block2_2_conv"):
        mine, theirs = (network.get_layer(layer).get_weights()[0] for network in (transform, classifier))
        np.testing.assert_array_equal(mine, theirs)
    first, of_classifier = (
        keras.Model(network.input, network.get_layer("stage1_block1_relu").output)
        for network in (transform, classifier)
    )
    np.testing.assert_array_equal(first(batch), of_classifier(batch))
    kept = [weight for weight in transform.weights if np.array_equal(weight.numpy(), before[weight.path])]
    assert {weight.path.split("/")[0] for weight in kept if weight.name == "kernel"} == {
        "code_dense",
        "decoder_dense",
        "up1_conv",
        "up2_conv",
        "head",
    }


@pytest.mark.parametrize(("size", "share"), [("codebook", 1.0), ("codebook_small", 0.5), ("codebook_tiny", 0.31)])
def test_a_codebook_costs_at_most_its_share_of_a_resnet20(size, share):
    assert macs(size) <= share * macs("resnet20")


def test_a_codebook_costs_a_vgg16_little():
    assert macs("codebook") <= 0.15 * macs("vgg16")


def test_a_codebook_has_no_more_images_than_words():
    keras.utils.set_random_seed(0)
    model = codebook("codebook_tiny", 16, 3)
    generator = np.random.default_rng(0)
    images = generator.random((60, 16, 16, 3), dtype=np.float32) * generator.random((60, 1, 1, 3), dtype=np.float32)
    chosen = keras.Model(model.input, [model.get_layer(name).output for name in ("logits", "word")])
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias - chosen(images, training=False)[0].numpy().mean(axis=0)])
    logits, word = (output.numpy() for output in chosen(images, training=False))
    np.testing.assert_array_equal(word, np.eye(3, dtype=np.float32)[logits.argmax(axis=1)])
    sent = model(images, training=False).numpy()
    assert len(np.unique(sent, axis=0)) == len(np.unique(word, axis=0)) >= 2
    for k in range(3):
        assert len(np.unique(sent[logits.argmax(axis=1) == k], axis=0)) <= 1


def test_equal_logits_are_still_one_word():
    np.testing.assert_array_equal(Word()(np.zeros((2, 4), np.float32)), [[1, 0, 0, 0]] * 2)


def test_the_gradient_of_a_word_is_that_of_the_softmax():
    import tensorflow as tf

    logits, weights = tf.constant([[0.3, -1.0, 2.0]]), tf.constant([[1.0, 2.0, -3.0]])
    gradients = []
    for function in (Word(), tf.nn.softmax):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(weights * function(logits))
        gradients.append(tape.gradient(value, logits))
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_a_codebook_can_start_from_the_classifier_with_its_logits():
    classifier, transform = models.classifier("resnet20", 16, 3), codebook("codebook_small", 16, 3)
    pictures = transform.get_layer("pictures").get_weights()[0]
    assert start_encoder(transform, classifier)
    for layer in ("stem_conv", "stage3_block2_2_conv", "logits"):
        for mine, theirs in zip(*(net.get_layer(layer).get_weights() for net in (transform, classifier)), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(transform.get_layer("pictures").get_weights()[0], pictures)


def test_a_classifier_of_another_kind_leaves_the_encoder_as_it_was():
    transform = codebook("codebook_tiny", 32, 10)  # its logits have the name of ψ's, but not their shape
    before = transform.get_weights()
    assert not start_encoder(transform, models.classifier("vgg16", 32, 10))
    for mine, former in zip(transform.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, former)


def test_the_adversary_starts_as_the_guess_it_is_given(batch):
    guess = np.random.default_rng(1).random((32, 32, 3), dtype=np.float32)
    restored = adversary(guess)(batch)
    np.testing.assert_array_equal(restored, np.broadcast_to(guess, batch.shape))


def test_the_shortcut_has_no_parameters_and_keeps_every_second_pixel():
    from i2p_tf.models.classifiers.resnet import _subsample

    x = np.random.default_rng(0).random((1, 4, 4, 2), dtype=np.float32)
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, _subsample(inputs, 4, 2, "shortcut"))
    expected = np.zeros((1, 2, 2, 4), np.float32)
    expected[..., 1:3] = x[:, ::2, ::2]
    np.testing.assert_array_equal(np.asarray(model(x)), expected)
    assert model.count_params() == 0
