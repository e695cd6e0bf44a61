"""The objective of a code: h_θ and the network that reads it are trained together, for all numbers of bits at once.

The pictures of a batch send different numbers of elements (nested dropout, Rippel et al. 2014), so that the first ones
say most and one network serves every rate. The encoder learns the class by a head of its own too, which is thrown away
(deep supervision, Lee et al. 2015): through a quantiser and a deep reader alone it would learn slowly. A network that
restores is trained along, and can be worked against; it sees what is sent. From the training images come their mean and
that of each class.
"""

import keras
import numpy as np
from keras import ops

from i2p_tf import drawing, whole_batch
from i2p_tf.hints import Tensor, Values
from i2p_tf.models.adversary import adversary
from i2p_tf.models.reader import cut, reader
from i2p_tf.models.transforms.code import class_head, encoder, last_map
from i2p_tf.objectives.adversarial import class_means, reconstruction_error, share_of_guess
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.setting import Setting
from i2p_tf.objectives.trainer import WithAdversary, accuracy

# How many of 20 pictures send each number of bits, in the order of `drawing.BITS`: few bits are soon learned.
SHARES = (1, 1, 2, 3, 3, 4, 6)
HEAD_WEIGHT = 0.5  # of the head's classification, beside the reader's
_COUNTS = np.repeat(np.array(drawing.BITS) // drawing.BITS_AN_ELEMENT, SHARES)


class CodeTrainer(WithAdversary):
    """Trains h_θ, whose layers the encoder shares, and the reader; `network` has the variables of both.

    loss = classification(reader) + HEAD_WEIGHT * classification(head) - w * min(1, error(adversary(code)) /
    error(guess)), with the mean plain image of the class as the guess, as in the adversarial objective.

    Args:
        transform: h_θ, as `models.transforms.code` builds it.
        reader: of its drawings, as `models.reader` builds it.
        classification: a `Classification`.
        adversary: cut codes to restored images in [0, 1].
        class_means: plain images in [0, 1], `(classes, height, width, 3)`.
        adversary_weight: w.
        bits: that validation sends, a member of `drawing.BITS`.
    """

    def __init__(
        self,
        transform: keras.Model,
        reader: keras.Model,
        classification: Classification,
        adversary: keras.Model,
        class_means: np.ndarray,
        adversary_weight: float,
        bits: int,
    ) -> None:
        code_reader = reader.get_layer("code_reader")
        encode = _with_head(transform, code_reader.output_shape[-1])
        cut_code = keras.Input((2 * drawing.ELEMENTS,), name="cut_code")
        both = keras.Model(
            [transform.input, cut_code], [*encode.outputs, code_reader(cut_code)], name="code_and_reader"
        )
        super().__init__(both, name="code_trainer")
        self.transform, self.encode, self.reader, self.code_reader = transform, encode, reader, code_reader
        self.classification, self.class_means = classification, class_means
        self.adversary_weight, self.bits = adversary_weight, bits
        self.learn_along(adversary)

    @property
    def result(self) -> keras.Model:
        return self.transform

    def compute_losses(self, images: Tensor, labels: Tensor, training: bool) -> Values:
        elements, of_head = self.encode(images, training=training)
        code = cut(elements, self._counts(ops.shape(images)[0], training))
        answers = self.classification.answers(images)
        values = self.classification(images, self.code_reader(code, training=training), labels, answers)
        values["accuracy"] = accuracy(labels, values.pop("logits"))
        head_loss = self.classification(images, of_head, labels, answers)["loss"]
        error = reconstruction_error(self.adversary(code), images)
        share = share_of_guess(error, ops.take(self.class_means, labels, axis=0), images)
        loss = values["loss"] + HEAD_WEIGHT * head_loss
        if self.adversary_weight:  # a weight of 0 would have its gradients computed all the same
            loss -= self.adversary_weight * ops.minimum(share, 1.0)
        values |= {"loss": loss, "head_accuracy": accuracy(labels, of_head)}
        return values | {"adversary_error": error, "adversary_gain": 1.0 - share}

    def _counts(self, batch_size, training):
        """How many elements each picture of a batch sends; its order is random, so these may be fixed."""
        if not training:
            return ops.full((batch_size,), self.bits // drawing.BITS_AN_ELEMENT, "int32")
        return ops.take(ops.convert_to_tensor(_COUNTS, "int32"), whole_batch.positions(batch_size) % len(_COUNTS))


def _with_head(transform, num_classes):
    """Images to elements and to the logits of the head that a classifier on the device would have."""
    head = class_head(last_map(transform), num_classes)
    return keras.Model(transform.input, [encoder(transform).output, head], name="encoder_with_head")


def trainer(setting: Setting) -> CodeTrainer:
    """The `CodeTrainer` of a `setting.Setting`."""
    config, dataset = setting.config, setting.dataset
    transform = setting.new_transform()

    def make():
        mean = (dataset.train.images.mean(axis=0) / 255.0).astype(np.float32)
        return CodeTrainer(
            transform,
            reader(dataset.image_size, dataset.num_classes),
            classification(config, setting.classifier),
            adversary(mean, sees=(2 * drawing.ELEMENTS,)),
            ops.convert_to_tensor(class_means(dataset.train, dataset.num_classes)),
            config.parameters["adversary_weight"],
            config.parameters["bits"],
        )

    return setting.build(make)
