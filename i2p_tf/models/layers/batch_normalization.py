"""Batch normalisation that is one operation on TensorFlow, where Keras' own is a dozen (10 to 25 % of a step)."""

import keras
from keras import ops

from i2p_tf import whole_batch
from i2p_tf.hints import Tensor


@keras.saving.register_keras_serializable("i2p_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer over the channels of NHWC feature maps, with the same weights and the same results.

    In training on TensorFlow it calls the fused kernel; in inference it is one multiplication and one addition, which
    a converter folds into the convolution before it. On other backends and in float64 training is Keras' own. Where
    several devices share a batch, `synchronized` says that its statistics are those of the whole.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not (training and self.trainable):
            return self._inference(inputs)
        if keras.backend.backend() != "tensorflow" or self.compute_dtype == "float64":  # which the kernel lacks
            return super().call(inputs, training=training)
        if self.synchronized and whole_batch.place()[0] > 1:
            return self._synchronized_training(inputs)
        return self._fused_training(inputs)

    def _inference(self, inputs):
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        offset = self.beta - self.moving_mean * scale
        return inputs * ops.cast(scale, inputs.dtype) + ops.cast(offset, inputs.dtype)

    def _fused_training(self, inputs):
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            ops.cast(self.gamma, "float32"),
            ops.cast(self.beta, "float32"),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        count = ops.cast(ops.size(inputs) // ops.shape(inputs)[-1], "float32")
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * (count - 1) / count)
        return outputs

    def _synchronized_training(self, inputs):
        x = ops.cast(inputs, "float32")
        # Not by the mean of squares, which cancels where the mean is large.
        of_devices = whole_batch.rows(ops.stack(ops.moments(x, axes=tuple(range(len(x.shape) - 1)))))
        means, variances = of_devices[:, 0], of_devices[:, 1]
        mean = ops.mean(means, axis=0)
        variance = ops.mean(variances + ops.square(means - mean), axis=0)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)
        outputs = (x - mean) * (ops.rsqrt(variance + self.epsilon) * self.gamma) + self.beta
        return ops.cast(outputs, inputs.dtype)

    def _move(self, average, value):
        average.assign(average * self.momentum + value * (1.0 - self.momentum))
