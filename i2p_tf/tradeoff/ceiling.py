"""The ceiling: what an encoder of the client's cost can send of the picture if it is trained for nothing else."""

from typing import Any

import keras
from keras import ops

from i2p_tf import drawing, models
from i2p_tf.models.reader import cut
from i2p_tf.models.transforms.code import encoder
from i2p_tf.objectives.adversarial import reconstruction_error
from i2p_tf.objectives.trainer import Trainer
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.decoders import LEARNING_RATE, convolutional

NAME = "ceiling"


class AutoencoderTrainer(Trainer):
    """Trains h_θ's encoder and a decoder to restore pictures at all numbers of bits; the last epoch counts.

    It has an optimizer of its own, as attackers have: the recipe of a classification does not suit this loss.

    Args:
        transform: h_θ with new weights.
        decoder: codes to pictures in [0, 1], not clipped.
        steps: of the whole training.
    """

    keeps_best = False

    def __init__(self, transform: keras.Model, decoder: keras.Model, steps: int) -> None:
        code = keras.Input((2 * drawing.ELEMENTS,), name="cut_code")
        encode = encoder(transform)
        super().__init__(keras.Model([encode.input, code], [encode.output, decoder(code)]), name="autoencoder_trainer")
        self.transform, self.encode, self.decoder, self.steps = transform, encode, decoder, steps

    def compile(self, optimizer: Any, **options: Any) -> None:
        schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, self.steps)
        super().compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), **options)

    def compute_losses(self, images: Any, labels: Any, training: bool) -> dict[str, Any]:
        elements = self.encode(images, training=training)
        whole = cut(elements, ops.full((ops.shape(images)[0],), drawing.ELEMENTS))
        return {"loss": reconstruction_error(self.decoder(whole, training=training), images)}  # which cuts in training


def ceiling(bench: Bench) -> keras.Model:
    """The h_θ that is trained to be restored."""
    return bench.memory.network(NAME, lambda: _trained(bench))


def _trained(bench):
    dataset, config = bench.dataset, bench.config
    keras.utils.set_random_seed(bench.seed)
    transform = models.transform(config.transform, dataset.image_size, dataset.num_classes, config.parameters)
    decoder = convolutional(dataset.train.images.mean(axis=0, dtype="float32") / 255.0)
    bench.train(NAME, AutoencoderTrainer(transform, decoder, bench.steps), bench.recipe)
    return transform
