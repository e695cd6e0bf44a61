import keras
import numpy as np
import pytest

from i2p_tf.models.layers.batch_normalization import BatchNormalization

pytestmark = pytest.mark.slow


@pytest.fixture
def ours_and_keras():
    ours, theirs = (
        layer(momentum=0.9, epsilon=1e-5) for layer in (BatchNormalization, keras.layers.BatchNormalization)
    )
    for layer in (ours, theirs):
        layer.build((None, 5, 5, 3))
        layer.set_weights([np.float32(w) for w in ([1, 2, 3], [0.1, 0, -0.1], [0, 1, 2], [1, 2, 0.5])])
    return ours, theirs


def test_training_gives_the_results_the_gradients_and_the_statistics_of_keras(ours_and_keras):
    import tensorflow as tf

    results = []
    for layer in ours_and_keras:
        generator = np.random.default_rng(0)
        for _ in range(3):
            x = tf.constant(generator.normal(1, 3, (8, 5, 5, 3)), tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.sin(y))
            gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        results.append([y, *gradients, *layer.get_weights()])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_inference_gives_the_results_of_keras(ours_and_keras):
    x = np.random.default_rng(0).normal(1, 3, (8, 5, 5, 3)).astype(np.float32)
    mine, theirs = (np.asarray(layer(x, training=False)) for layer in ours_and_keras)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_a_frozen_layer_infers_and_keeps_its_statistics(ours_and_keras):
    x = np.random.default_rng(0).normal(1, 3, (8, 5, 5, 3)).astype(np.float32)
    ours, _ = ours_and_keras
    expected = np.asarray(ours(x, training=False))
    ours.trainable = False
    before = ours.get_weights()
    np.testing.assert_array_equal(np.asarray(ours(x, training=True)), expected)
    for former, now in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(former, now)
