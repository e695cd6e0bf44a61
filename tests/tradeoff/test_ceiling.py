"""The encoder that is made to be restored."""

import keras
import numpy as np
import tensorflow as tf

from i2p_tf.models.transforms.code import code
from i2p_tf.tradeoff import ceiling, decoders


def test_its_loss_moves_encoder_and_decoder_and_its_optimizer_is_its_own():
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((14, 32, 32, 3), np.float32)
    trainer = ceiling.AutoencoderTrainer(code("code_small", 32), decoders.convolutional(images.mean(axis=0)), steps=4)
    trainer.compile(optimizer=keras.optimizers.SGD(1.0))
    assert isinstance(trainer.optimizer, keras.optimizers.Adam)
    rest = trainer.decoder.get_layer("rest").kernel  # it is zero at first, and hides the layers before it
    rest.assign(np.random.default_rng(1).normal(size=rest.shape))
    with tf.GradientTape() as tape:
        loss = trainer.compute_losses(images, None, training=True)["loss"]
    for name in ("stem_conv", "global", "map"):
        kernel = trainer.transform.get_layer(name).trainable_variables[0]
        assert any(kernel is variable for variable in trainer.network.trainable_variables)
    gradients = tape.gradient(loss, [variable.value for variable in trainer.network.trainable_variables])
    assert all(gradient is not None and np.any(gradient) for gradient in gradients)
