"""A recipe for the data that are there: one for many small pictures makes few or large ones take hours, or no step."""

import dataclasses
import math
from typing import Any

from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.recipe import Recipe

FEWEST_STEPS = 12  # of an epoch
SMALLEST_BATCH = 8  # of which batch normalisation still learns
MOST_PIXELS = 128 * 96**2  # of a batch; its memory grows with them
MOST_EPOCHS = 40  # that a minimum of steps makes


def fit_to_data(config: Config, dataset: Dataset) -> Config:
    """The `Config` with recipes that are `fitted` to its `data.dataset.Dataset`."""
    images = len(dataset.train.labels)
    recipes: dict[str, Any] = {
        name: fitted(getattr(config, name), images, dataset.image_size)
        for name in ("classifier_recipe", "transform_recipe")
    }
    return dataclasses.replace(config, **recipes)


def fitted(recipe: Recipe, images: int, image_size: int) -> Recipe:
    """A `Recipe` whose batches and minimum of steps follow from the number and the size of the pictures.

    Only a recipe with `follows_data` changes, and only to smaller batches, powers of 2, and fewer epochs. The learning
    rate goes with the root of the batch with `sgd`, and stays with `muon`, whose steps are normalised: as between the
    presets for CIFAR-10 and for digits.

    Args:
        recipe: a `Recipe`.
        images: how many there are to train on.
        image_size: height and width of each.
    """
    if not recipe.follows_data:
        return recipe
    most = max(1, min(recipe.batch_size, images // FEWEST_STEPS, MOST_PIXELS // image_size**2))
    batch_size = recipe.batch_size if most == recipe.batch_size else 2 ** int(math.log2(most))
    batch_size = min(max(batch_size, SMALLEST_BATCH), recipe.batch_size, images)
    root = math.sqrt(batch_size / recipe.batch_size) if recipe.optimizer == "sgd" else 1.0
    return dataclasses.replace(
        recipe,
        batch_size=batch_size,
        learning_rate=recipe.learning_rate * root,
        minimum_steps=min(recipe.minimum_steps, MOST_EPOCHS * (images // batch_size)),
    )
