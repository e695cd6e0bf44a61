import copy
import dataclasses
import json
import math
import pickle

import pytest

from i2p_tf import concepts, presets
from i2p_tf.config import Config, Recipe
from i2p_tf.errors import InputError

RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.1)


def config(**changes):
    values = {"dataset": "digits", "classifier_recipe": RECIPE, "transform_recipe": RECIPE}
    return Config(**(values | changes))


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
def test_json_gives_back_an_equal_configuration(preset, dataset):
    original = presets.PRESETS[preset](dataset)
    assert Config.from_json(json.loads(json.dumps(original.to_json()))) == original


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classifier": "resnet21"}, ["classifier", "'resnet21'", "resnet20", "Did you mean"]),
        ({"transform": "smal"}, ["'smal'", "Did you mean small"]),
        ({"precision": "float64"}, ["precision", "mixed_float16"]),
        ({"augmentation": "rotate"}, ["augmentation", "flip_crop"]),
        ({"feature_loss_weight": -0.1}, ["feature_loss_weight", "-0.1", "at least 0"]),
        ({"feature_loss_weight": math.nan}, ["feature_loss_weight", "nan"]),
        ({"feature_loss_weight": math.inf}, ["feature_loss_weight", "inf"]),
        ({"feature_distance": "cosin"}, ["feature_distance", "squared", "cosine", "cosin"]),
        ({"feature_batch_fraction": 0.0}, ["feature_batch_fraction", "0.0"]),
        ({"objective": "adversary"}, ["objective", "'adversary'", "Did you mean adversarial?"]),
        ({"channel": "gif"}, ["channel", "png", "jpeg", "'gif'"]),
        ({"encryption": "aes"}, ["encryption", "'aes'", "'le', 'ele', 'pe', 'etc'"]),
        ({"objective": "codebook"}, ["'codebook'", "codebook_tiny", "'small'", "adversarial, paper"]),
        ({"transform": "codebook"}, ["'paper'", "bottleneck", "'codebook'"]),
        ({"channel": "jpeg", "transform_recipe": Recipe(1, 3, 0.1)}, ["batch_size", "at least 4", "'jpeg'", "3"]),
        ({"transform": "bottleneck", "encoder_start": "zeros"}, ["encoder_start", "classifier", "random", "'zeros'"]),
        ({"adversary_weight": -1.0}, ["adversary_weight", "at least 0", "-1.0"]),
        ({"adversary_weight": math.nan}, ["adversary_weight", "nan"]),
        ({"distillation_weight": 1.5}, ["distillation_weight", "at least 0 and at most 1", "1.5"]),
        (
            {"adversary_weight": 1.0},
            ["adversary_weight", "for the objective adversarial, code only", "the objective 'paper'"],
        ),
        ({"encoder_start": "random"}, ["encoder_start", "bottleneck_small, codebook", "the transform 'small'"]),
        ({"classifier_weights": "random"}, ["classifier_weights", "applications:NAME", "the classifier 'resnet20'"]),
        ({"feature_weights": 3}, ["feature_weights must be a text", "3"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"dataset": None}, ["dataset must be a text", "None"]),
        ({"classifier": 20}, ["classifier must be a text", "20"]),
        ({"classifier_path": -1}, ["classifier_path must be a text", "-1"]),
        ({"data_dir": ["here"]}, ["data_dir must be a text", "'here'"]),
        ({"adversary_weight": 10**400}, ["adversary_weight", "at least 0"]),
        ({"image_size": 33}, ["multiple of 8", "40", "33"]),
        ({"image_size": 8}, ["at least 12", "8"]),
        ({"image_size": 48, "classifier": "vgg16"}, ["multiple of 32", "64", "48"]),
        ({"image_size": 40, "transform": "paper"}, ["multiple of 16", "48", "40"]),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(changes, words):
    with pytest.raises(InputError) as error:
        config(**changes)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"epochs": -3},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.inf},
        {"weight_decay": -1.0},
        {"schedule": "cosine"},
        {"clip_norm": 0.0},
        {"label_smoothing": 1.0},
        {"minimum_steps": -1},
    ],
)
def test_bad_recipes_name_the_field_and_the_value(changes):
    (name, value), *_ = changes.items()
    with pytest.raises(InputError) as error:
        dataclasses.replace(RECIPE, **changes)
    assert name in str(error.value)
    assert str(value) in str(error.value)


def test_minimum_steps_add_epochs_for_a_small_data_set():
    recipe = dataclasses.replace(RECIPE, minimum_steps=100)
    assert recipe.total_epochs(steps_per_epoch=30) == 4
    assert recipe.total_epochs(steps_per_epoch=1000) == 2


def test_differences_name_what_makes_another_experiment_and_ignore_where_the_data_lies():
    one = config(seed=1, data_dir="here")
    other = dataclasses.replace(one, seed=2, data_dir="there", transform_recipe=dataclasses.replace(RECIPE, epochs=5))
    assert one.differences(other) == ["transform_recipe.epochs: 2 -> 5", "seed: 1 -> 2"]
    assert one.differences(dataclasses.replace(one, data_dir="there")) == []
    here, there = (dataclasses.replace(one, dataset=f"folder:{place}") for place in ("/here/pics", "there"))
    assert here.differences(there) == [] and here.differences(one) == ["dataset: folder:/here/pics -> digits"]


def test_a_relative_path_is_the_same_file_as_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = config(classifier_path="psi.keras", feature_weights="vgg.h5")
    other = config(classifier_path=f"{tmp_path}/psi.keras", feature_weights=f"{tmp_path}/vgg.h5")
    assert one.differences(other) == []
    assert len(one.differences(config(classifier_path="other.keras", feature_weights="imagenet"))) == 2


def test_a_foreign_json_is_refused():
    values = config().to_json()
    with pytest.raises(InputError, match="speed"):
        Config.from_json(values | {"speed": 3})
    del values["transform_recipe"]
    with pytest.raises(InputError, match="transform_recipe"):
        Config.from_json(values)
    with pytest.raises(InputError, match="not a configuration of this version"):
        Config.from_json("abc")


def test_with_encryption_the_transform_sets_no_image_size():
    assert config(encryption="pe", image_size=36).image_size == 36
    with pytest.raises(InputError, match="multiple of 4 for the classifier 'resnet20'; the next one is 40"):
        config(encryption="pe", image_size=38)


def test_a_classifier_that_is_there_can_not_read_a_new_key():
    with pytest.raises(InputError, match="encryption and classifier_path exclude each other"):
        config(encryption="le", classifier_path="classifier.keras")


def test_the_entries_it_names_have_parameters_of_their_own():
    one = config(objective="adversarial", adversary_weight=3.0)
    assert one.parameters == {"adversary_weight": 3.0, "distillation_weight": 0.5}
    assert one.adversary_weight == 3.0 and not hasattr(one, "feature_loss_weight")
    other = dataclasses.replace(one, objective="paper", feature_distance="cosine")
    assert other.feature_distance == "cosine" and not hasattr(other, "adversary_weight")
    assert dataclasses.replace(other, seed=1).feature_distance == "cosine"
    with pytest.raises(TypeError, match="adversery_weight"):
        config(adversery_weight=1.0)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one and hash(one) == hash(copy.copy(one))


def test_no_parameter_is_called_like_a_field_and_equal_names_have_equal_types():
    fields = {field.name for field in dataclasses.fields(Config)}
    for table in concepts.TABLES.values():
        for row in table.values():
            for parameter in row.parameters:
                assert parameter.name not in fields
                assert type(parameter.default) is type(concepts.all_parameters()[parameter.name].default)
                parameter.check(parameter.default)


def test_the_configuration_of_an_earlier_version_is_read():
    values = config(objective="adversarial", channel="jpeg").to_json()
    del values["channel"]
    former = values | {"transport": "jpeg", "feature_loss_weight": 0.35, "feature_weights": "imagenet"}
    former |= {"classifier_weights": "imagenet", "encoder_start": "classifier"}
    assert Config.from_json(former) == config(objective="adversarial", channel="jpeg")


@pytest.mark.slow
def test_image_sizes_that_fit_the_configuration_fit_the_networks():
    from i2p_tf.models import classifier, transform
    from i2p_tf.models.classifiers.table import CLASSIFIERS
    from i2p_tf.models.transforms import bottleneck, code, codebook, unet
    from i2p_tf.models.transforms.table import TRANSFORMS
    from i2p_tf.objectives.table import trained_by

    of_unets = {size: 2 ** (len(f) - 1) for size, f in unet.STACKWISE_FILTERS.items()}
    of_codebooks = dict.fromkeys(codebook.STACKWISE_BLOCKS, codebook.IMAGE_MULTIPLE)
    of_bottlenecks = dict.fromkeys(bottleneck.SIZES, bottleneck.IMAGE_MULTIPLE)
    multiples = {name: row.image_multiple for name, row in TRANSFORMS.items()}
    of_codes = dict.fromkeys(code.SIZES, code.IMAGE_MULTIPLE)
    assert of_unets | of_bottlenecks | of_codebooks | of_codes == multiples
    assert {name for name, row in TRANSFORMS.items() if row.sends_codewords} == set(of_codebooks)
    for name, row in TRANSFORMS.items():
        config(transform=name, objective=trained_by(row)[0].name).check_image_size(96)
        assert transform(name, 96, 3).output_shape == (None, 96, 96, 3)
    for row in CLASSIFIERS.values():
        if not row.application:
            assert classifier(row.name, row.image_multiple, 3).output_shape == (None, 3)


def test_what_leaves_the_device_at_most():
    from i2p_tf.models.transforms.table import TRANSFORMS

    assert TRANSFORMS["codebook"].most_bits(config(transform="codebook", objective="codebook"), 16) == 4.0
    assert TRANSFORMS["small"].most_bits(config(), 16) is None
