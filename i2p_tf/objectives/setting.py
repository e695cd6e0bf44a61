"""What an objective is given to make the trainer of h_θ."""

import collections.abc
import dataclasses

import keras

from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.run_dir import RunDir


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where h_θ is to be trained.

    Attributes:
        config: the `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, frozen.
        new_transform: builds h_θ with its first weights. What is drawn at random after it depends on the seed alone.
        build: calls a function whose layers compute with the numbers of the training.
        run_dir: the `RunDir`, where an objective may record what it was calibrated on.
        progress: a `training.progress.Progress`.
    """

    config: Config
    dataset: Dataset
    classifier: keras.Model
    new_transform: collections.abc.Callable
    build: collections.abc.Callable
    run_dir: RunDir
    progress: object
