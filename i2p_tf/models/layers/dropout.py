"""Dropout for a batch that several devices share: together they drop what one device would drop."""

import keras
from keras import ops

from i2p_tf import whole_batch
from i2p_tf.hints import Tensor


class WholeBatchDropout(keras.layers.Dropout):
    """Keras' layer; each device draws for the whole batch, and takes what its own pictures get."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        count, index = whole_batch.place()
        if count == 1 or not training or not self.rate:
            return super().call(inputs, training=training)
        ones = ops.ones((inputs.shape[0] * count, *inputs.shape[1:]), inputs.dtype)
        return inputs * super().call(ones, training=True)[index::count]
