"""What a training says and refuses before it begins."""

import dataclasses
import shutil
import types

import keras
import numpy as np
import pytest
from keras import layers

from i2p_tf import models, presets
from i2p_tf.config import Recipe
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.run_dir import RunDir, write_json
from i2p_tf.training import train
from i2p_tf.training.calibration import require_same_features
from i2p_tf.training.fit import fit
from i2p_tf.training.precision import dtype_policy
from i2p_tf.training.progress import Progress
from i2p_tf.training.trainer import ClassifierTrainer

pytestmark = pytest.mark.slow


def test_another_precision_is_refused_once_something_is_trained(tmp_path):
    run_dir = RunDir(tmp_path)
    write_json(run_dir.environment, {"precision": "mixed_float16", "feature_extractor": {"source": "a file"}})
    train._record_environment(run_dir, "mixed_float16")
    assert run_dir.read_environment()["feature_extractor"] == {"source": "a file"}
    run_dir.checkpoints.mkdir()
    (run_dir.checkpoints / "classifier-0001.npz").write_text("")
    with pytest.raises(InputError, match="begun in mixed_float16, and here it would go on in float32"):
        train._record_environment(run_dir, "float32")
    assert run_dir.read_environment()["precision"] == "mixed_float16"
    (run_dir.checkpoints / "classifier-0001.npz").unlink()
    train._record_environment(run_dir, "float32")
    assert run_dir.read_environment()["precision"] == "float32"


def test_other_features_are_refused():
    begun = {"feature_extractor": {"source": "VGG16 from a file", "sha256": "ab" * 32, "variance": 1.0}}
    require_same_features({"source": "VGG16 from a file", "sha256": "ab" * 32, "variance": 1.001}, begun, "run")
    require_same_features({"source": "anything"}, {}, "run")
    with pytest.raises(
        InputError, match="begun with the features of VGG16 from a file abababababab, .* resnet20's own"
    ):
        require_same_features({"source": "resnet20's own features"}, begun, "run")
    with pytest.raises(InputError, match="file cdcd"):
        require_same_features({"source": "VGG16 from a file", "sha256": "cd" * 32}, begun, "run")


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),
        ({"transform": "codebook_tiny"}, False),
        ({"encoder_start": "random"}, True),
        ({"classifier": "vgg16"}, True),
    ],
)
def test_an_encoder_that_begins_at_random_with_few_epochs_is_warned_of(changes, warned):
    config = dataclasses.replace(presets.two_cores("cifar10"), **changes)
    said = []
    train._warn_of_random_encoder(config, sources.load("digits"), types.SimpleNamespace(warn=said.append))
    assert len(said) == warned
    assert not warned or "begins with random weights and has 40 epochs, where the classifier has 80" in said[0]


class Begun(ClassifierTrainer):
    begun = False

    def begin(self, batch_size, progress):
        self.begun = True


def test_what_precedes_the_first_step_is_done_where_no_checkpoint_can_be_used(tmp_path, digits):
    run_dir = RunDir(tmp_path)
    run_dir.checkpoints.mkdir()
    (run_dir.checkpoints / "classifier-0001.npz").write_bytes(b"damaged")

    def begun():
        images = keras.Input((16, 16, 3))
        trainer = Begun(keras.Model(images, layers.Dense(10)(layers.Flatten()(images))))
        fit(trainer, digits, Recipe(1, 64, 0.01), "none", 0, run_dir, "classifier", Progress())
        return trainer.begun

    assert begun()
    assert not begun()  # now there is a checkpoint that can be used


@pytest.mark.parametrize("method", ["le", "pe"])
def test_a_classifier_of_encrypted_pictures_is_refused_where_plain_ones_are_read(method, tmp_path, digits):
    path = tmp_path / "classifier.keras"
    models.classifier("resnet20", 16, 10, method).save(path)
    config = dataclasses.replace(presets.two_cores("digits"), image_size=16, classifier_path=str(path))
    with pytest.raises(InputError, match=f"holds a resnet20_{method} .* needs a resnet20 "):
        train._load_classifier(config, digits)


def given(digits, network, path):
    """The experiment that takes this network as its ψ."""
    network.save(path)
    return dataclasses.replace(presets.two_cores("digits"), image_size=16, classifier_path=str(path))


def test_a_classifier_of_other_layers_under_the_right_name_is_refused_and_leaves_nothing(tmp_path, digits):
    images = keras.Input((16, 16, 3))
    network = keras.Model(images, layers.Dense(10)(layers.Flatten()(images)), name="resnet20")
    config, run_dir = given(digits, network, tmp_path / "classifier.keras"), RunDir(tmp_path / "run")
    run_dir.path.mkdir()
    with pytest.raises(InputError, match="7,690 parameters; this experiment needs a resnet20 .* with 27"):
        train._classifier(config, digits, "float32", run_dir, Progress())
    assert not run_dir.classifier.exists()


def test_a_classifier_saved_in_mixed_precision_computes_in_float32(tmp_path, digits):
    with dtype_policy("mixed_float16"):
        network = models.classifier("resnet20", 16, 10)
    classifier = train._load_classifier(given(digits, network, tmp_path / "classifier.keras"), digits)
    assert {layer.compute_dtype for layer in classifier.layers} == {"float32"}
    for mine, theirs in zip(classifier.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_where_nothing_is_trained_the_record_of_the_training_stays(trained_run, tmp_path):
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))
    write_json(run_dir.environment, {"processor": "another", "precision": "mixed_float16"})
    results = train.train_and_evaluate(run_dir.load_config(), run_dir, Progress())
    assert results["accuracy"]["n"] == 359
    assert run_dir.read_environment() == {"processor": "another", "precision": "mixed_float16"}
