"""A preset with what is to be another way, as flags of `bin/train` and arguments of `i2p_tf.fit` say it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from i2p_tf import presets
from i2p_tf.config import Config
from i2p_tf.errors import unknown_name

OF_RECIPES = ("epochs", "batch_size", "learning_rate", "clip_norm")  # of each of the two trainings


def configured(preset: str, dataset: str, settings: Mapping[str, Any]) -> Config:
    """The `Config` of a preset for a data set, with `settings` in the place of its own.

    Args:
        preset: a key of `presets.PRESETS`.
        dataset: the data set's name, as a run records it.
        settings: values by name: fields of a `Config`, parameters of the rows that it names, members of `OF_RECIPES`.

    Raises:
        InputError: if there is no such preset, or a value does not fit.
        TypeError: if there is no such setting.
    """
    if preset not in presets.PRESETS:
        raise unknown_name("preset", preset, tuple(presets.PRESETS))
    config = presets.PRESETS[preset](dataset)
    changes = {name: settings[name] for name in OF_RECIPES if name in settings}
    if "batch_size" in changes:
        changes["follows_data"] = False
    if "epochs" in changes:
        changes["minimum_steps"] = 0
    recipes = {
        name: dataclasses.replace(getattr(config, name), **changes)
        for name in ("classifier_recipe", "transform_recipe")
    }
    others = {name: value for name, value in settings.items() if name not in OF_RECIPES}
    return dataclasses.replace(config, **recipes, **others)
