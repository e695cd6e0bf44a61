import keras
import numpy as np
import pytest

from i2p_tf import inference
from i2p_tf.client.transform import Transform
from i2p_tf.export import tflite
from i2p_tf.models.transforms.bottleneck import bottleneck
from i2p_tf.models.transforms.code import code
from i2p_tf.models.transforms.codebook import codebook
from i2p_tf.models.transforms.unet import STACKWISE_FILTERS, unet

# What delegates run, and the operators at the border of the graph.
FLOAT_OPERATORS = {"CAST", "CONV_2D", "MAX_POOL_2D", "CONCATENATION", "DEPTH_TO_SPACE", "LOGISTIC", "MUL", "ROUND"}
INT8_OPERATORS = {"QUANTIZE", "CONV_2D", "MAX_POOL_2D", "CONCATENATION", "DEPTH_TO_SPACE", "LOGISTIC"}


def normalize_at_random(model):
    """Makes batch normalisations do something, as those of a trained network do."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])


@pytest.fixture(scope="module")
def transform():
    """A U-Net whose batch normalisations are far from doing nothing."""
    keras.utils.set_random_seed(0)
    model = unet("tiny", 16)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            gamma, beta, mean, variance = (generator.uniform(0.5, 2.0, w.shape) for w in layer.get_weights())
            layer.set_weights([gamma, beta - 1.2, mean - 1.2, variance])
    return model


@pytest.fixture(scope="module")
def bottleneck_transform():
    """A bottleneck whose code and pictures differ from image to image."""
    keras.utils.set_random_seed(1)
    model = bottleneck("bottleneck_small", 16)
    normalize_at_random(model)
    kernel, bias = model.get_layer("code_dense").get_weights()
    model.get_layer("code_dense").set_weights([5.0 * kernel, bias])
    return model


@pytest.fixture(scope="module")
def codebook_transform():
    """A codebook that takes several of its words."""
    keras.utils.set_random_seed(2)
    model = codebook("codebook_tiny", 16, 4)
    normalize_at_random(model)
    kernel, bias = model.get_layer("logits").get_weights()
    logits = keras.Model(model.input, model.get_layer("logits").output)
    mean = np.asarray(logits(np.random.default_rng(1).random((50, 16, 16, 3), np.float32))).mean(axis=0)
    model.get_layer("logits").set_weights([kernel, bias - mean])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)


def run(model, variant, images, folder):
    values = {"run_id": "0", "variant": variant, "image_size": 16, "resize_rule": "crop", "class_names": []}
    file = folder / f"{variant}.tflite"
    file.write_bytes(tflite.with_metadata(model, values))
    return Transform(file, threads=1)(images)


@pytest.mark.slow
def test_folding_changes_no_result(transform, images):
    plain = np.float32(images) / 255.0
    folded = tflite.fold(transform)
    assert not [layer for layer in folded.layers if "bn" in layer.name]
    np.testing.assert_allclose(folded(plain), transform(plain), atol=2e-5)
    assert np.std(transform(plain)) > 0.02


@pytest.mark.slow
def test_folding_a_bottleneck_gives_its_convolutions_the_bias_they_lack(bottleneck_transform, images):
    plain = np.float32(images) / 255.0
    folded = tflite.fold(bottleneck_transform)
    assert not [layer for layer in folded.layers if "bn" in layer.name]
    expected = np.asarray(bottleneck_transform(plain))
    np.testing.assert_allclose(folded(plain), expected, atol=2e-4)
    assert np.mean(np.std(expected, axis=0)) > 0.01


def test_folding_an_encoder_of_codes_keeps_what_no_layer_can_take():
    keras.utils.set_random_seed(3)
    encoder = code("code_nano", 32)
    normalize_at_random(encoder)
    folded = tflite.fold(encoder)
    assert [layer.name for layer in folded.layers if "bn" in layer.name] == ["maps_bn"]
    images = np.random.default_rng(0).random((20, 32, 32, 3), np.float32)
    before, after = (keras.Model(one.input, one.get_layer("code").output)(images) for one in (encoder, folded))
    np.testing.assert_allclose(before, after, atol=1e-4)
    assert np.mean(np.std(before, axis=0)) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["float32", "float16", "int8"])
def test_a_bottleneck_in_each_variant(bottleneck_transform, images, tmp_path, variant):
    if variant == "int8":
        model = tflite.int8_model(bottleneck_transform, images)
        assert not [name for name in tflite.operators(model) if name.startswith("Flex")]
    else:
        model = tflite.float_model(bottleneck_transform, variant)
    protected = run(model, variant, images, tmp_path).astype(int)
    difference = np.abs(protected - inference.protect(bottleneck_transform, images))
    assert np.mean(difference) < {"float32": 0.1, "float16": 0.5, "int8": 5.0}[variant]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["float32", "float16", "int8"])
def test_a_codebook_in_each_variant(codebook_transform, images, tmp_path, variant):
    """No more pictures are sent than there are words; most are those of the Keras model, for the same word."""
    int8 = variant == "int8"
    model = tflite.int8_model(codebook_transform, images) if int8 else tflite.float_model(codebook_transform, variant)
    assert not [name for name in tflite.operators(model) if name.startswith("Flex")]
    protected, expected = (
        run(model, variant, images, tmp_path).astype(int),
        inference.protect(codebook_transform, images),
    )
    assert len(np.unique(expected, axis=0)) >= 3
    assert len(np.unique(protected, axis=0)) <= 4
    same = np.abs(protected - expected).max(axis=(1, 2, 3)) <= {"float32": 0, "float16": 1, "int8": 6}[variant]
    assert np.mean(same) >= {"float32": 1.0, "float16": 0.9, "int8": 0.6}[variant]


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "share"), [("float32", 0.9999), ("float16", 0.99)])
def test_float_variants(transform, images, tmp_path, variant, share):
    model = tflite.float_model(transform, variant)
    names = tflite.operators(model)
    # float16 weights are expanded by one DEQUANTIZE each when the file is loaded.
    assert set(names) - {"DEQUANTIZE"} == FLOAT_OPERATORS
    assert names.count("CONV_2D") == 4 * (len(STACKWISE_FILTERS["tiny"]) - 1) + 2 + 2 + 1
    assert names.count("MUL") == 1  # 255 levels
    difference = np.abs(run(model, variant, images, tmp_path).astype(int) - inference.protect(transform, images))
    assert np.mean(difference <= 1) >= share


@pytest.mark.slow
def test_int8_counts_in_levels(transform, images, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    dark = images // 4 + 60  # without 0 and 255
    model = tflite.int8_model(transform, dark)
    assert set(tflite.operators(model)) == INT8_OPERATORS
    interpreter = Interpreter(model_content=model)
    for details in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert details["dtype"] == np.uint8
        assert details["quantization"] == (pytest.approx(1 / 255), 0)
    protected = run(model, "int8", dark, tmp_path)
    difference = protected.astype(float) - inference.protect(transform, dark)
    assert np.mean(np.square(difference)) < 255**2 * 10 ** (-30 / 10)


@pytest.mark.slow
def test_int8_output_is_not_counted_in_256ths(transform, images, tmp_path):
    constant = keras.models.clone_model(transform)
    constant.set_weights(transform.get_weights())
    kernel, bias = constant.get_layer("head").get_weights()
    constant.get_layer("head").set_weights([kernel * 0, np.log(bias * 0 + 3)])  # sigmoid: 0.75
    protected = run(tflite.int8_model(constant, images), "int8", images, tmp_path)
    assert np.unique(protected) == [191]  # of 255; as 256ths it would be 192


@pytest.mark.slow
def test_the_converted_file_is_always_the_same(transform):
    values = {"run_id": "0", "variant": "float32", "image_size": 16, "resize_rule": "crop", "class_names": ["a"]}
    files = [tflite.with_metadata(tflite.float_model(transform, "float32"), values) for _ in range(2)]
    assert files[0] == files[1]
