import dataclasses

import pytest

from i2p_tf import presets
from i2p_tf.config import Recipe
from i2p_tf.training.recipe import FEWEST_STEPS, MOST_EPOCHS, fitted

RECIPE = Recipe(epochs=20, minimum_steps=800, batch_size=128, learning_rate=0.1, follows_data=True)


@pytest.mark.parametrize(
    ("images", "image_size", "batch_size"),
    [
        (45_000, 32, 128),
        (45_000, 96, 128),
        (216, 96, 16),
        (216, 224, 16),
        (5_000, 224, 16),
        (1_600, 64, 128),
        (1_000, 64, 64),
        (60, 32, 8),
        (5, 32, 5),
    ],
)
def test_a_batch_follows_the_number_and_the_size_of_the_pictures(images, image_size, batch_size):
    recipe = fitted(RECIPE, images, image_size)
    assert recipe.batch_size == batch_size and images // recipe.batch_size >= min(FEWEST_STEPS, images // 8, 1)
    assert recipe.total_epochs(images // batch_size) <= MOST_EPOCHS
    assert recipe.total_epochs(images // batch_size) >= recipe.epochs == 20


def test_the_learning_rate_of_sgd_goes_with_the_root_of_the_batch():
    assert fitted(RECIPE, 400, 32).batch_size == 32
    assert fitted(RECIPE, 400, 32).learning_rate == pytest.approx(0.05)  # as the preset for digits has it
    assert fitted(dataclasses.replace(RECIPE, optimizer="muon"), 400, 32).learning_rate == 0.1


def test_a_recipe_that_does_not_follow_stays():
    recipe = dataclasses.replace(RECIPE, follows_data=False)
    assert fitted(recipe, 5, 2048) is recipe


@pytest.mark.parametrize("preset", presets.PRESETS.values())
def test_what_was_measured_is_trained_as_it_was(preset):
    for dataset in ("digits", "cifar10", "cifar100"):
        config = preset(dataset)
        assert not config.classifier_recipe.follows_data and not config.transform_recipe.follows_data
    config = preset("folder:pets")
    assert config.classifier_recipe.follows_data and config.transform_recipe.follows_data
