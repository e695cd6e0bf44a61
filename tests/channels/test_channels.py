"""What may happen to a protected image on its way, with real files, and the stand-in for it in training."""

import numpy as np
import pytest
from PIL import Image

from i2p_tf.channels.files import jpeg_75, jpeg_90, png, resize_2x
from i2p_tf.channels.table import CHANNELS, measured
from i2p_tf.tables import load


@pytest.fixture
def image():
    """A smooth picture with an edge, as photographs have."""
    rows, columns = np.mgrid[:32, :32] / 31
    channels = [rows, columns, np.where(rows + columns > 1, 0.8, 0.2)]
    return np.uint8(np.rint(255 * np.stack(channels, axis=-1)))


@pytest.mark.parametrize("name", measured())
def test_what_arrives_is_an_image_of_the_same_shape(name, image):
    arrived = measured()[name](image)
    assert arrived.shape == image.shape and arrived.dtype == np.uint8
    assert np.abs(arrived.astype(int) - image).mean() < 15


def test_png_changes_nothing_and_the_others_do(image):
    np.testing.assert_array_equal(png(image), image)
    errors = [np.abs(channel(image).astype(int) - image).mean() for channel in (jpeg_90, jpeg_75)]
    assert 0 < errors[0] < errors[1]
    larger = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
    back = np.asarray(Image.fromarray(larger).resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize_2x(image), back)
    assert np.any(back != image)


@pytest.mark.slow
class TestTheStandIn:
    """Training needs a gradient, which real files do not have."""

    @pytest.mark.parametrize(("quality", "real"), [(90, jpeg_90), (75, jpeg_75)])
    def test_it_is_close_to_real_files(self, quality, real, image):
        from i2p_tf.channels.jpeg import jpeg

        noise = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
        images = np.stack([image, image[::-1], noise])
        arrived = np.stack([real(image) for image in images]).astype(np.float32)
        restored = 255 * np.asarray(jpeg(np.float32(images) / 255, quality))
        np.testing.assert_allclose(restored, np.round(restored), atol=1e-3)
        own, lost = (np.mean((values - arrived) ** 2) for values in (restored, images))
        assert own < 0.1 * lost

    @pytest.mark.parametrize("size", [12, 20, 32])
    def test_sizes_that_no_block_divides(self, size):
        from i2p_tf.channels.jpeg import jpeg

        grey = np.full((1, size, size, 3), 100 / 255, np.float32)
        np.testing.assert_allclose(jpeg(grey, 75), grey, atol=1.01 / 255)

    def test_scaling_is_close_to_that_of_pictures(self, image):
        from i2p_tf.channels.scaling import resized_2x

        noise = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
        images = np.stack([image, noise])
        arrived = np.stack([resize_2x(image) for image in images]).astype(np.float32)
        np.testing.assert_allclose(255 * np.asarray(resized_2x(np.float32(images) / 255)), arrived, atol=1.01)

    @pytest.mark.parametrize("count", [3, 7, 8])
    def test_each_quarter_of_a_batch_goes_another_way_and_stays_in_its_place(self, count):
        from i2p_tf.channels.jpeg import jpeg
        from i2p_tf.channels.mixture import WAYS, lossy
        from i2p_tf.channels.scaling import resized_2x

        assert WAYS == CHANNELS["jpeg"].ways == 4
        levels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3))
        images = np.float32(levels) / 255
        quarter = -(-count // 4)
        ways = (lambda image: image, lambda image: jpeg(image, 90), lambda image: jpeg(image, 75), resized_2x)
        expected = [np.asarray(ways[index // quarter](images[index : index + 1]))[0] for index in range(count)]
        np.testing.assert_allclose(lossy(images), expected, atol=1e-6)

    def test_it_can_be_compiled_for_a_gpu(self, image):
        import tensorflow as tf

        from i2p_tf.channels.mixture import lossy

        @tf.function(jit_compile=True)
        def gradient(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                value = tf.reduce_sum(lossy(images))
            return tape.gradient(value, images)

        images = tf.constant(np.repeat(np.float32(image)[np.newaxis] / 255, 4, axis=0))
        np.testing.assert_allclose(np.sum(gradient(images), axis=(1, 2, 3)), 3 * 32 * 32, rtol=0.02)

    def test_the_gradient_passes_the_rounding(self, image):
        import tensorflow as tf

        from i2p_tf.channels.jpeg import jpeg

        images = tf.constant(np.float32(image)[np.newaxis] / 255)
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = tf.reduce_sum(jpeg(images, 75)[0, :, :, 1])
        gradient = tape.gradient(value, images).numpy()
        np.testing.assert_allclose(gradient.sum(), 32 * 32, rtol=0.02)  # a brighter image arrives as much brighter

    def test_every_channel_that_has_one_gives_images_back(self, image):
        for row in CHANNELS.values():
            if row.twin:
                assert load(row.twin)(np.float32(image)[np.newaxis] / 255).shape == (1, 32, 32, 3)
