import keras
import numpy as np
import pytest

from i2p_tf.export import quantization_aware, tflite
from i2p_tf.models.transforms.unet import unet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folded():
    """A folded U-Net whose activations differ in range from layer to layer."""
    keras.utils.set_random_seed(0)
    network = tflite.fold(unet("tiny", 16))
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, generator.normal(0, 1, bias.shape)])
    return network


@pytest.fixture(scope="module")
def plain():
    return np.random.default_rng(1).random((20, 16, 16, 3), dtype=np.float32)


def test_the_twin_computes_what_the_folded_network_does(folded, plain):
    twin = quantization_aware.tf_keras_twin(folded)
    expected = np.asarray(folded(plain))
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(twin(plain).numpy(), expected, atol=1e-5)


def test_after_calibration_only_rounding_is_left(folded, plain):
    from tensorflow_model_optimization.quantization.keras import quantize_model

    quantized = quantize_model(quantization_aware.tf_keras_twin(folded))
    expected = np.asarray(folded(plain))

    def error():
        return np.sqrt(np.mean(np.square(quantized(plain, training=True).numpy() - expected)))

    uncalibrated = error()
    quantization_aware.calibrate(quantized, folded, plain)
    assert error() < min(0.02, uncalibrated / 2)
