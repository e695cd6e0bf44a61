import keras
import numpy as np
import pytest

from i2p_tf.models.convolution import F2, F4, UPSAMPLED, Conv2D, UpsampledConv2D, convolve

pytestmark = pytest.mark.slow


def results(layer, images, training):
    """Output of a layer, and the gradients of a scalar of it by the images and by the weights."""
    import tensorflow as tf

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=training)
        loss = tf.reduce_sum(tf.sin(outputs))
    return [np.asarray(value) for value in (outputs, *tape.gradient(loss, [images, *layer.trainable_variables]))]


def pair(layer, shape, filters, **options):
    """A layer and Keras' own with the same weights, and random images."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=shape).astype(np.float32)
    both = layer(filters, 3, padding="same", **options), keras.layers.Conv2D(filters, 3, padding="same", **options)
    weights = [generator.normal(0, 0.05, (3, 3, shape[-1], filters)), generator.normal(size=filters)]
    for convolution in both:
        convolution.build(shape)
        convolution.set_weights(weights)
    return *both, images


def assert_close(mine, theirs, share=1e-4):
    for value, expected in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(value, expected, atol=share * np.max(np.abs(expected)))


@pytest.mark.parametrize(("filtering", "height", "width"), [(F2, 2, 6), (F4, 4, 12), (UPSAMPLED, 3, 5)])
def test_each_algorithm_is_a_convolution(filtering, height, width):
    generator = np.random.default_rng(0)
    images, kernel = generator.normal(size=(2, height, width, 5)), generator.normal(size=(3, 3, 5, 7))
    images, kernel = np.float32(images), np.float32(kernel)
    seen = images.repeat(2, axis=1).repeat(2, axis=2) if filtering is UPSAMPLED else images
    expected = keras.ops.conv(seen, kernel, padding="same")
    np.testing.assert_allclose(convolve(keras.ops.convert_to_tensor(images), kernel, filtering), expected, atol=1e-4)


@pytest.mark.parametrize("size", [2, 4, 6, 8])
def test_training_gives_the_results_and_gradients_of_keras(size):
    ours, theirs, images = pair(Conv2D, (3, size, size, 64), 96, activation="relu")
    mine = results(ours, images, training=True)
    expected = results(theirs, images, training=None)
    assert_close(mine, expected)
    assert not np.array_equal(mine[0], expected[0])  # it was another computation


def test_behind_an_upsampling_it_gives_the_results_and_gradients_of_keras():
    ours, theirs, images = pair(UpsampledConv2D, (3, 4, 4, 64), 96)
    upsample = keras.layers.UpSampling2D(2)
    mine, expected = (results(keras.Sequential([upsample, layer]), images, training=True) for layer in (ours, theirs))
    assert_close(mine, expected)
    assert not np.array_equal(mine[0], expected[0])


def test_inference_is_keras_own_until_it_is_frozen():
    ours, theirs, images = pair(Conv2D, (2, 8, 8, 64), 64)
    expected = np.asarray(theirs(images))
    np.testing.assert_array_equal(ours(images, training=False), expected)
    ours.trainable = False
    frozen = np.asarray(ours(images, training=False))
    assert not np.array_equal(frozen, expected)
    assert_close([frozen], [expected])


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 8, 8, 4), {}),  # too few channels
        ((2, 7, 7, 64), {}),  # tiles do not fit
        ((2, 8, 8, 64), {"strides": 2}),
        ((2, 8, 8, 64), {"dtype": "mixed_bfloat16"}),
    ],
)
def test_elsewhere_training_is_keras_own(shape, options):
    ours, theirs, images = pair(Conv2D, shape, 64, **options)
    np.testing.assert_array_equal(ours(images, training=True), theirs(images))


def test_a_layer_keeps_its_class_when_it_is_saved(tmp_path):
    images = keras.Input((8, 8, 64))
    model = keras.Model(images, UpsampledConv2D(64, 3, padding="same")(keras.layers.UpSampling2D(2)(images)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is UpsampledConv2D
