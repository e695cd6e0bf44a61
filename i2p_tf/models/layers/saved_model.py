"""A SavedModel as a layer that holds all of it: saved within a `.keras` file, it needs the folder no longer."""

import pathlib
import shutil
import tempfile
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from i2p_tf.classifier_file import SAVED_MODEL
from i2p_tf.hints import Tensor


@keras.saving.register_keras_serializable("i2p_tf")
class SavedModel(layers.Layer):
    """Pictures `(batch, height, width, 3)` to float32 scores `(batch, num_classes)`, by one signature, frozen.

    A layer that was made from its configuration computes nothing before `load_assets`, which `keras.models.load_model`
    calls.

    Args:
        signature: its name.
        image, scores: the names of its input and its output.
        num_classes: length of the scores.
    """

    def __init__(self, signature: str, image: str, scores: str, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**({"trainable": False} | kwargs))
        self.signature, self.image, self.scores, self.num_classes = signature, image, scores, num_classes
        self.supports_jit = False  # it may hold operations that XLA has not
        self.built = True

    def load_assets(self, dir_path: str) -> None:
        """Copies a SavedModel's folder, and loads it."""
        self._folder = tempfile.TemporaryDirectory(prefix="saved_model_")
        _copy(dir_path, self._folder.name)
        self._loaded = tf.saved_model.load(self._folder.name)
        self._function = self._loaded.signatures[self.signature]
        for variable in self._function.variables:
            self._track_variable(_as_keras(variable))

    def save_assets(self, dir_path: str) -> None:
        """Copies the SavedModel into a folder."""
        _copy(self._folder.name, dir_path)

    def save_own_variables(self, store: Any) -> None:
        """They are among the assets."""

    def load_own_variables(self, store: Any) -> None:
        """They are among the assets."""

    def call(self, images: Tensor) -> Tensor:
        wanted = self._function.structured_input_signature[1][self.image].dtype
        return ops.cast(self._function(**{self.image: tf.cast(images, wanted)})[self.scores], "float32")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("signature", "image", "scores", "num_classes")}
        return super().get_config() | own


def _copy(source, target):
    for part in SAVED_MODEL:
        path = pathlib.Path(source, part)
        if path.is_dir():
            shutil.copytree(path, pathlib.Path(target, part), dirs_exist_ok=True)
        elif path.exists():
            shutil.copyfile(path, pathlib.Path(target, part))


def _as_keras(variable):
    """The same variable as a weight of the layer, under the last part of its name, as a name may hold no slash."""
    name = variable.name.partition(":")[0].rpartition("/")[2]
    weight = keras.Variable(variable, trainable=False, dtype=variable.dtype.name, name=name)
    weight._value = variable  # no copy
    return weight
