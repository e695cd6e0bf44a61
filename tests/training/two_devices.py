"""Each objective's training on one device and on two, in a process of its own: TensorFlow has to begin with two.

  python two_devices.py mirrored [CASE ...]       # two devices of this process
  python two_devices.py multiworker [CASE ...]    # as one of the two processes of TF_CONFIG, with a device each

Prints JSON: how far gradients and weights of two devices are from those of one, by the name of the case; all cases, if
none is named.
"""

import functools
import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from i2p_tf import drawing
from i2p_tf.channels import mixture
from i2p_tf.models import adversary as adversaries
from i2p_tf.models import reader as readers
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.transforms import code as codes
from i2p_tf.models.transforms import codebook
from i2p_tf.objectives.adversarial import AdversarialObjective, AdversarialTrainer
from i2p_tf.objectives.classification import Classification
from i2p_tf.objectives.code import CodeTrainer
from i2p_tf.objectives.codebook import CodebookTrainer
from i2p_tf.objectives.feature_distance import SquaredDistance
from i2p_tf.objectives.paper import PaperObjective
from i2p_tf.objectives.trainer import ClassifierTrainer, TransformTrainer
from i2p_tf.recipe import Recipe
from i2p_tf.training import devices
from i2p_tf.training.fit import compile_trainer
from i2p_tf.training.precision import dtype_policy

BATCH, CLASSES, SIZE, STEPS = 16, 3, 32, 20
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((BATCH, SIZE, SIZE, 3), dtype=np.float32)
LABELS = np.int32(RANDOM.integers(0, CLASSES, BATCH))
MEANS = np.stack([IMAGES.mean(axis=0)] * CLASSES)


def smooth(normalized, x, name, activation=True):
    x = normalized(x, name, activation=False)
    return layers.Activation("softplus")(x) if activation else x


# Small networks of the same form: what is traced twice takes seconds.
codes.SIZES["code_small"] = 4
codebook.STACKWISE_BLOCKS["codebook_tiny"] = (1, 0, 0)
readers.FILTERS, readers.BLOCKS, readers.DENSE_UNITS, adversaries.HIDDEN_UNITS = 4, 0, 4, (16,)
# The quantiser and the ways of a channel without their rounding, and a deep encoder without kinks: at these the least
# difference becomes a large one.
codes.FiniteScalarQuantizer.call = lambda self, values: keras.ops.tanh(values)
codes.normalized = functools.partial(smooth, codes.normalized)
mixture.jpeg, mixture.resized_2x = lambda images, quality: images * (quality / 100), lambda images: images[:, ::-1]


def small_classifier():
    """With both batch normalisations, and dropout; smooth, as the least rounding decides on which side of a kink."""
    images = keras.Input((SIZE, SIZE, 3))
    x = BatchNormalization()(layers.Conv2D(4, 3, strides=2, activation="softplus")(images))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.BatchNormalization()(layers.Dense(8)(x))
    return keras.Model(images, layers.Dense(CLASSES, dtype="float32")(x))


def small_transform():
    images = keras.Input((SIZE, SIZE, 3))
    x = BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="softplus")(images))
    return keras.Model(images, layers.Conv2D(3, 3, padding="same", activation="sigmoid", dtype="float32")(x))


def classification(distillation_weight=0.0, **channel):
    classifier = small_classifier()
    classifier.trainable = False
    return Classification(classifier, distillation_weight, 0.1, **channel)


def extractor():
    images = keras.Input((SIZE, SIZE, 3))
    return keras.Model(images, layers.Conv2D(4, 3, strides=4, activation="softplus")(images))


def paper():
    features = extractor()
    objective = PaperObjective(classification(0.5), features, SquaredDistance(features(IMAGES)), 0.1, 0.7)
    return TransformTrainer(small_transform(), objective)


def adversarial():
    restorer = adversaries.adversary(MEANS[0])
    objective = AdversarialObjective(classification(channel=mixture.lossy, ways=4), restorer, MEANS, 2.0)
    return AdversarialTrainer(small_transform(), objective)


def code():
    restorer = adversaries.adversary(MEANS[0], sees=(2 * drawing.ELEMENTS,))
    reader = readers.reader(SIZE, CLASSES)
    return CodeTrainer(codes.code("code_small", SIZE), reader, classification(), restorer, MEANS, 2.0, 64)


CASES = {
    "classification": (lambda: ClassifierTrainer(small_classifier(), 0.1), "muon"),
    "paper": (paper, "sgd"),
    "adversarial": (adversarial, "sgd"),
    "codebook": (lambda: CodebookTrainer(codebook.codebook("codebook_tiny", SIZE, CLASSES), classification()), "sgd"),
    "code": (code, "sgd"),
}


def batch_of(chosen, images):
    """What the process of some devices computes of the batch."""
    part = list(chosen.part(BATCH) or range(BATCH))
    return tf.data.Dataset.from_tensors((images[part], LABELS[part]))


def trained(make, optimizer, chosen):
    """Gradients of the first step; weights and means after the last."""
    keras.utils.set_random_seed(0)
    trainer = make()
    compile_trainer(trainer, Recipe(1, BATCH, 0.003, optimizer, clip_norm=1.0), STEPS)
    if hasattr(trainer, "adversary"):  # by default it makes a whole step of the rounding in a gradient that is near 0
        trainer.adversary_optimizer.epsilon = 1e-3
    first = [[tf.Variable(tf.zeros_like(v.value)) for v in variables] for _, _, variables in trainer.goals()]
    move = trainer.move

    def watched(gradients):
        for kept, found in zip(tf.nest.flatten(first), tf.nest.flatten(gradients), strict=True):
            if found is not None:
                kept.assign(tf.where(trainer.optimizer.iterations == 0, found, kept))
        move(gradients)

    trainer.move = watched
    means = chosen.epochs(trainer)(batch_of(chosen, IMAGES).repeat(STEPS), [])
    networks = [trainer.network, *([trainer.adversary] if hasattr(trainer, "adversary") else [])]
    weights = [weight.numpy() for network in networks for weight in network.weights]
    return {
        "gradients": [variable.numpy() for variable in tf.nest.flatten(first)],
        "weights": weights,
        "means": [np.array(means[name]) for name in sorted(means)],
    }


def furthest(ones, others):
    """The largest difference, where the largest number is above 1 in units of that."""
    scale = max(1.0, *(np.abs(one).max() for one in ones))
    return float(max(np.abs(one - other).max() for one, other in zip(ones, others, strict=True)) / scale)


def scale_after_overflow(two):
    """The loss scale, and how far weights moved, after a step in which one device alone has no finite gradient."""
    images = keras.Input((SIZE, SIZE, 3))
    with dtype_policy("mixed_float16"):
        trainer = ClassifierTrainer(keras.Model(images, layers.Dense(CLASSES)(layers.Flatten()(images))))
    compile_trainer(trainer, Recipe(1, BATCH, 0.1), STEPS)
    before, scale = trainer.network.get_weights(), float(trainer.optimizer.dynamic_scale)
    images = IMAGES.copy()
    images[1] = np.inf
    two.epochs(trainer)(batch_of(two, images), [])
    return float(trainer.optimizer.dynamic_scale) / scale, furthest(before, trainer.network.get_weights())


def main(strategy, *names):
    if strategy == "mirrored":
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = devices.of(strategy)
    found = {"devices": two.count, "overflow": scale_after_overflow(two)}
    for name in names or CASES:
        make, optimizer = CASES[name]
        ones, others = (trained(make, optimizer, chosen) for chosen in (devices.OneDevice(), two))
        found[name] = {part: furthest(ones[part], others[part]) for part in ones}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
