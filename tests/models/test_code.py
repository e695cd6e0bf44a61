"""The transform that draws codes, and the network that reads them."""

import keras
import numpy as np
import pytest
from keras import ops

from i2p_tf import drawing
from i2p_tf.models import cost
from i2p_tf.models import reader as readers
from i2p_tf.models.classifiers.resnet import resnet
from i2p_tf.models.transforms import code


def images(n, size=32):
    return np.random.default_rng(0).random((n, size, size, 3), np.float32)


@pytest.fixture(scope="module")
def transform():
    keras.utils.set_random_seed(0)
    transform = code.code("code_small", 32)
    for _ in range(20):  # without their statistics the layers make everything small, and all codes the same
        transform(images(16), training=True)
    return transform


@pytest.fixture(scope="module")
def reader():
    keras.utils.set_random_seed(1)
    return readers.reader(32, 10)


def test_a_transform_gives_drawings_of_its_elements(transform):
    plain = images(8)
    drawn = drawing.read(np.uint8(np.rint(np.asarray(transform(plain)) * 255)))
    elements = np.asarray(code.encoder(transform)(plain))
    np.testing.assert_allclose(elements, drawn * 2 / 3 - 1, atol=1e-6)
    assert len(np.unique(drawn)) == 4


@pytest.mark.parametrize(
    ("size", "costs"),
    [
        ("code_nano", (0.252, 0.547, 2.02)),
        ("code_tiny", (0.589, 1.08, 3.54)),
        ("code_small", (2.02, 3.01, 7.92)),
        ("code", (7.43, 9.39, 19.2)),
    ],
)
def test_the_device_computes_little(size, costs):
    for image_size, megas in zip((32, 96, 224), costs, strict=True):
        assert cost.macs(code.code(size, image_size)) == pytest.approx(megas * 1e6, rel=0.02)


def test_an_image_size_that_does_not_divide_is_named():
    with pytest.raises(ValueError, match="multiple of 32. Received: 48"):
        code.code("code", 48)


def test_the_quantizer_has_four_values_and_the_slope_of_its_bound():
    values = keras.Variable(np.linspace(-4, 4, 101, dtype=np.float32))
    quantizer = code.FiniteScalarQuantizer()
    quantized = np.asarray(quantizer(values))
    np.testing.assert_allclose(np.unique(np.round(quantized, 5)), [-1, -1 / 3, 1 / 3, 1], atol=1e-4)
    assert (np.diff(quantized) >= 0).all()
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = ops.sum(quantizer(values))
    slopes = tape.gradient(total, values.value).numpy()
    assert (slopes > 0).all()
    assert slopes.argmax() in range(35, 55)  # near the middle of the bound


def test_a_reader_does_not_see_what_is_not_sent(transform, reader):
    drawings = np.uint8(np.rint(np.asarray(transform(images(4))) * 255))
    other = drawing.read(drawings)
    other[:, 32:] = 3 - other[:, 32:]
    first, second = (drawing.cut(one, 64) for one in (drawings, drawing.draw(other, 32)))
    np.testing.assert_array_equal(*(reader(np.float32(one) / 255) for one in (first, second)))


def test_cut_codes_are_what_a_reader_reads_of_cut_drawings(transform, reader):
    plain = images(4)
    elements = code.encoder(transform)(plain)
    drawings = np.uint8(np.rint(np.asarray(transform(plain)) * 255))
    counts = np.array([4, 32, 128, 256])
    cut = np.concatenate([drawing.cut(one[None], 2 * count) for one, count in zip(drawings, counts, strict=True)])
    expected = np.asarray(readers.cut(elements, counts))
    np.testing.assert_allclose(np.asarray(reader.get_layer("read_code")(np.float32(cut) / 255)), expected, atol=1e-6)


def test_each_picture_goes_to_the_network_that_reads_it(transform, reader, tmp_path):
    keras.utils.set_random_seed(2)
    classifier = resnet("resnet20", 32, 10)
    both = readers.with_reader(classifier, reader)
    plain = images(3)
    drawn = np.rint(np.asarray(transform(plain)) * 255) / 255
    np.testing.assert_array_equal(both(plain), classifier(plain, training=False))
    np.testing.assert_array_equal(both(drawn), reader(drawn, training=False))
    mixed = np.asarray(both(np.concatenate([plain[:1], drawn[:1]])))
    np.testing.assert_allclose(mixed[0], np.asarray(classifier(plain[:1], training=False))[0], atol=1e-5)
    np.testing.assert_allclose(mixed[1], np.asarray(reader(drawn[:1], training=False))[0], atol=1e-5)

    both.save(tmp_path / "both.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "both.keras")(drawn), both(drawn))
