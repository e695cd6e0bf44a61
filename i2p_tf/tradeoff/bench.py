"""What all parts of a trade-off work on: the networks of a run, its data, how long to train, what is kept."""

import dataclasses
import hashlib
import json
import math
import shutil

import keras
import numpy as np

import i2p_tf
from i2p_tf import inference
from i2p_tf.attacks.memory import RunMemory
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.objectives.trainer import Trainer
from i2p_tf.recipe import Recipe
from i2p_tf.run_dir import RunDir
from i2p_tf.training.fit import fit
from i2p_tf.training.progress import Progress
from i2p_tf.training.recipe import fit_to_data

FOLDER = "tradeoff"  # beside the suites of attacks


@dataclasses.dataclass(frozen=True)
class Bench:
    """A run, opened.

    Attributes:
        run_dir: the `RunDir`, locked.
        config: its `Config`, fitted to the data.
        dataset: its `Dataset`.
        classifier: ψ, frozen.
        transform: h_θ, which draws codes.
        recipe: of attackers and ceiling: h_θ's, or a shorter one.
        memory: a `RunMemory`; what is finished is found there again.
        lasting: the same for what does not depend on `recipe`.
        progress: a `Progress`.
    """

    run_dir: RunDir
    config: Config
    dataset: Dataset
    classifier: keras.Model
    transform: keras.Model
    recipe: Recipe
    memory: RunMemory
    lasting: RunMemory
    progress: Progress

    @property
    def steps(self) -> int:
        """Of the training of each attacker, and of the ceiling."""
        steps = _steps_an_epoch(self.dataset, self.recipe)
        return steps * self.recipe.total_epochs(steps)

    @property
    def seed(self) -> int:
        """Of what is trained here: the run's."""
        return self.config.seed

    def train(self, name: str, trainer: Trainer, recipe: Recipe) -> None:
        """Trains a `Trainer` on the plain training images, with the augmentation of h_θ; goes on if stopped."""
        about = json.dumps([self.lasting.setting, dataclasses.asdict(recipe), trainer.network.count_params()]).encode()
        work = RunDir(self.run_dir.attack(FOLDER, name) / f"training_{hashlib.sha256(about).hexdigest()[:12]}")
        fit(trainer, self.dataset, recipe, self.config.augmentation, self.seed, work, name, self.progress)
        shutil.rmtree(work.path)


def bench(run_dir: RunDir, dataset: Dataset, config: Config, steps: int | None, progress: Progress) -> Bench:
    """Opens a run.

    Args:
        run_dir: a `RunDir` of a code, finished and locked.
        dataset: its `Dataset`.
        config: its `Config`.
        steps: of attackers and ceiling, rounded up to whole epochs; None for as many as h_θ had.
        progress: a `Progress`.

    Raises:
        InputError: if a network can't be read.
    """
    config = fit_to_data(config, dataset)
    recipe = config.transform_recipe
    if steps:
        recipe = dataclasses.replace(
            recipe, epochs=math.ceil(steps / _steps_an_epoch(dataset, recipe)), minimum_steps=0
        )
    classifier = inference.load_classifier(run_dir.classifier, dataset.num_classes)
    classifier.trainable = False
    transform = inference.load_network(run_dir.transform)
    setting = {
        "i2p_tf": i2p_tf.__version__,
        "images": _digest(dataset),
        "networks": run_dir.network_digests(),
        "seed": config.seed,
    }
    lasting = RunMemory(run_dir, FOLDER, setting, progress.say)
    memory = RunMemory(run_dir, FOLDER, setting | {"recipe": dataclasses.asdict(recipe)}, progress.say)
    return Bench(run_dir, config, dataset, classifier, transform, recipe, memory, lasting, progress)


def _steps_an_epoch(dataset, recipe):
    return max(1, len(dataset.train.labels) // recipe.batch_size)


def _digest(dataset):
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()
