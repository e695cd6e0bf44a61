"""This project's training steps, as `bin/train` and `bin/attack` take them, for `train_step.py` to time."""

import dataclasses
import gc
import io
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from workloads import CLASSES, IMAGE_SIZE

from i2p_tf import evaluation, inference, models, presets
from i2p_tf.attacks import fitting
from i2p_tf.attacks.kinds.inverse_network import inverse_network
from i2p_tf.channels.table import measured
from i2p_tf.data import pipeline, sources
from i2p_tf.data.dataset import Dataset, Split
from i2p_tf.environment import describe_environment
from i2p_tf.models import cost
from i2p_tf.models.transforms.unet import STACKWISE_FILTERS
from i2p_tf.objectives.paper import calibrated_objective
from i2p_tf.objectives.trainer import ClassifierTrainer, TransformTrainer
from i2p_tf.training import precision
from i2p_tf.training.fit import compile_trainer
from i2p_tf.training.progress import Progress

TOTAL_STEPS = 10_000  # of the learning rate's schedule
DTYPES = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}


class Steps:
    """Builds the step of a `Workload` and takes it.

    Args:
        policy: a dtype policy.
    """

    def __init__(self, policy):
        self.policy = policy

    def describe(self):
        """The environment, and the policy that bin/train takes in it."""
        return describe_environment() | {"best_precision": precision.resolve("auto")}

    def build(self, workload):
        """Builds the networks, with the same weights in every process and precision.

        Returns:
            Tuple of a dictionary of what another library needs to begin at the same place, and the floating-point
            operations that the step needs for one image.
        """
        self.model = self.iterator = None
        keras.utils.clear_session()
        gc.collect()
        keras.utils.set_random_seed(0)
        self.batch = workload.batch()
        make = {"transform": self._transform, "classifier": self._classifier, "inverse": self._inverse}[workload.kind]
        with precision.dtype_policy(self.policy):
            self.model, parts, extras, operations = make(workload.settings)
        weights = {name: [layer.get_weights() for layer in _layers(part)] for name, part in parts.items()}
        learning_rate = float(self.model.optimizer.learning_rate)
        return {"weights": weights, "learning_rate": learning_rate} | extras, operations

    def warm_up(self):
        """Takes two steps; returns their losses, and how they are computed."""
        batches = tf.data.Dataset.from_tensors(self.batch).repeat()
        losses = self.model.fit(batches, epochs=2, steps_per_epoch=1, shuffle=False, verbose=0).history["loss"]
        self.iterator = iter(batches)
        return losses, "XLA" if self.model.jit_compile else ""

    def run(self, seconds):
        """Takes steps for at least so long; returns images a second. Each loss is read, as in a training."""
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            float(self.model.train_function(self.iterator)["loss"])
            count += 1
        return count * len(self.batch[0]) / (time.perf_counter() - started)

    def product(self, n, policy=None):
        """Floating-point operations a second of a product of two n x n matrices, by default of its own policy."""
        a, b = (tf.cast(tf.random.uniform((n, n)), DTYPES[policy or self.policy]) for _ in range(2))
        tf.linalg.matmul(a, b)[0, 0].numpy()
        started = time.perf_counter()
        tf.linalg.matmul(a, b)[0, 0].numpy()
        return 2 * n**3 / (time.perf_counter() - started)

    def _transform(self, config):
        classifier = models.classifier(config.classifier, IMAGE_SIZE, CLASSES)
        classifier.trainable = False
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "vgg.weights.h5"
            write_random_features(file)
            config = dataclasses.replace(config, feature_weights=str(file))
            dataset = random_dataset(500)
            objective, _ = calibrated_objective(config, dataset, classifier, Progress(io.StringIO()))
        network = models.transform(config.transform, IMAGE_SIZE, CLASSES)
        trainer = TransformTrainer(network, objective)
        compile_trainer(trainer, config.transform_recipe, TOTAL_STEPS)
        parts = {"network": network, "classifier": classifier, "features": objective.feature_extractor}
        # Forward, gradient by the input, gradient by the weights; φ sees plain images too, and none of their gradients.
        features = config.feature_batch_fraction * 3 * cost.macs(objective.feature_extractor)
        macs = 3 * cost.macs(network) + 2 * cost.macs(classifier) + features
        distance = {name: np.asarray(value) for name, value in vars(objective.distance).items()}
        extras = {"stackwise_filters": STACKWISE_FILTERS[config.transform], "distance": distance}
        return trainer, parts, extras, 2 * macs

    def _classifier(self, config):
        network = models.classifier(config.classifier, IMAGE_SIZE, CLASSES)
        trainer = ClassifierTrainer(network, config.classifier_recipe.label_smoothing)
        compile_trainer(trainer, config.classifier_recipe, TOTAL_STEPS)
        return trainer, {"network": network}, {}, 2 * 3 * cost.macs(network)

    def _inverse(self, specification):
        protected, plain = np.random.default_rng(0).integers(0, 256, (2, 500, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        model = inverse_network(specification.architecture, protected, plain)
        loss = fitting.LOSSES[specification.loss]
        fitting.compile_network(model, loss, specification.training.learning_rate, TOTAL_STEPS)
        parts = {"guess": model.get_layer("guess"), "network": model.get_layer("correction")}
        size = specification.architecture.removeprefix("unet_")
        return model, parts, {"stackwise_filters": STACKWISE_FILTERS[size]}, 2 * 3 * cost.macs(model)


def write_random_features(file):
    """Writes what a file with φ's weights looks like: VGG16's first two blocks, untrained."""
    vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    keras.Model(vgg.input, vgg.get_layer("block2_conv2").output).save_weights(file)


def write_brief_classifier(file, data_dir):
    """Writes the ψ of the preset `paper_two_cores` after some steps on CIFAR-10: one at chance is refused."""
    train = sources.load("cifar10", data_dir=data_dir).train
    classifier = models.classifier(presets.paper_two_cores("cifar10").classifier, IMAGE_SIZE, CLASSES)
    classifier.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(np.float32(train.images[:12_800]) / 255, train.labels[:12_800], batch_size=128, verbose=0)
    classifier.save(file)


def random_dataset(count):
    """A data set of random pixels and labels."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    split = Split(images, generator.integers(CLASSES, size=count, dtype=np.int32))
    return Dataset("random", tuple(map(str, range(CLASSES))), split, split, split)


def pipeline_rates(images, batch_size, augmentation, rounds):
    """Images a second that `training_pipeline` makes when nothing consumes them, of each of so many epochs."""
    split = random_dataset(images).train
    rates = []
    for epoch in range(rounds):
        started, count = time.perf_counter(), 0
        for batch, _ in pipeline.training_pipeline(split, batch_size, 0, augmentation, epoch):
            count += len(batch)
        rates.append(count / (time.perf_counter() - started))
    return rates


def evaluation_seconds(count, rounds):
    """Seconds of what `bin/evaluate` computes of so many images, and of as many forward passes as in a training step.

    Returns:
        Tuple of two lists, a value a round: all that is evaluated; h_θ once and ψ as often as it is in it, on plain, on
        protected images and on those after each channel but PNG, which changes nothing.
    """
    config = presets.paper_two_cores("cifar10")
    transform = models.transform(config.transform, IMAGE_SIZE, CLASSES)
    classifier, frozen = (models.classifier(config.classifier, IMAGE_SIZE, CLASSES) for _ in range(2))
    frozen.trainable = False
    dataset = random_dataset(count)
    test = dataset.test
    batch = np.float32(test.images[: config.transform_recipe.batch_size]) / np.float32(255.0)

    @tf.function
    def forward(images):
        protected = transform(images, training=True)
        return [frozen(read, training=False) for read in (images, *[protected] * len(measured()))]

    def evaluate():
        evaluation.measure(classifier, test, dataset.class_names, inference.protect(transform, test.images))

    def pass_forward():
        for _ in range(count // len(batch)):
            forward(batch)[-1].numpy()

    forward(batch)  # is compiled
    pairs = [(_seconds(evaluate), _seconds(pass_forward)) for _ in range(rounds)]
    return [list(seconds) for seconds in zip(*pairs, strict=True)]


def _seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _layers(part):
    """The layers with weights of a layer or model, in the order in which they are applied."""
    if not isinstance(part, keras.Model):
        return [part] if part.weights else []
    return [layer for inner in part.layers for layer in _layers(inner)]
