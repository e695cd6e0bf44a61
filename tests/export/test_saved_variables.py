import keras
import numpy as np
import tensorflow as tf

from i2p_tf.export import saved_model


class Looked(keras.layers.Layer):
    """Each level, by a lookup table, as it is."""

    def build(self, input_shape):
        levels = tf.range(256, dtype=tf.int64)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(levels, levels), -1)

    def call(self, images):
        return tf.cast(self.table.lookup(tf.cast(tf.round(images * 255.0), tf.int64)), tf.float32) / 255.0


def test_each_variable_is_written_once_and_tables_come_along(tmp_path):
    images = keras.Input((8, 8, 3))
    network = keras.Model(images, keras.layers.Conv2D(3, 1, activation="sigmoid")(Looked()(images)))
    saved_model.export_transform(network, tmp_path / "transform")
    written = tf.train.load_checkpoint(str(tmp_path / "transform" / "variables" / "variables"))
    shapes = [shape for name, shape in written.get_variable_to_shape_map().items() if name.endswith("VARIABLE_VALUE")]
    assert sorted(shapes) == sorted(list(variable.shape) for variable in network.variables)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    expected = np.rint(network.predict(pictures / np.float32(255), verbose=0) * 255)
    loaded = tf.saved_model.load(str(tmp_path / "transform")).signatures["serving_default"]
    np.testing.assert_array_equal(loaded(tf.constant(pictures))["protected"], expected.astype(np.uint8))
