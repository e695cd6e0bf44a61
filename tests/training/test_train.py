"""What a training says and refuses before it begins."""

import dataclasses
import shutil
import types

import keras
import numpy as np
import pytest
from keras import layers

from i2p_tf import inference, presets
from i2p_tf.config import Recipe
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.files import write_json
from i2p_tf.models import reader as readers
from i2p_tf.objectives.paper import require_same_features
from i2p_tf.objectives.trainer import ClassifierTrainer
from i2p_tf.run_dir import RunDir
from i2p_tf.training import train
from i2p_tf.training.devices import OneDevice
from i2p_tf.training.fit import fit
from i2p_tf.training.progress import Progress

pytestmark = pytest.mark.slow

CONFIG = presets.two_cores("folder:pets")


def test_another_precision_is_refused_once_something_is_trained(tmp_path):
    run_dir = RunDir(tmp_path)
    write_json(run_dir.environment, {"precision": "mixed_float16", "feature_extractor": {"source": "a file"}})
    train._record_environment(run_dir, "mixed_float16", CONFIG, OneDevice())
    assert run_dir.read_environment()["feature_extractor"] == {"source": "a file"}
    assert run_dir.read_environment()["batch_size"] == {"classifier": 128, "transform": 128}
    run_dir.checkpoints.mkdir()
    (run_dir.checkpoints / "classifier-0001.npz").write_text("")
    with pytest.raises(InputError, match="begun in mixed_float16, and here it would go on in float32"):
        train._record_environment(run_dir, "float32", CONFIG, OneDevice())
    assert run_dir.read_environment()["precision"] == "mixed_float16"
    (run_dir.checkpoints / "classifier-0001.npz").unlink()
    train._record_environment(run_dir, "float32", CONFIG, OneDevice())
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


def test_where_nothing_is_trained_the_record_of_the_training_stays(trained_run, tmp_path):
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))
    write_json(run_dir.environment, {"processor": "another", "precision": "mixed_float16"})
    results = train.train_and_evaluate(run_dir.load_config(), run_dir, Progress())
    assert results["accuracy"]["n"] == 359
    assert run_dir.read_environment() == {"processor": "another", "precision": "mixed_float16"}


def small_classifier():
    images = keras.Input((32, 32, 3), name="images")
    return keras.Model(images, layers.Dense(10, name="logits")(layers.Flatten()(layers.AveragePooling2D(4)(images))))


def test_a_code_gets_a_reader_that_is_calibrated_on_what_the_client_sends_and_made_again_if_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "FILTERS", 16)
    monkeypatch.setattr(readers, "BLOCKS", 1)
    calibrated = []

    def calibrate(reader, drawings, labels):
        reader.get_layer("code_reader").get_layer("logits").set_weights([np.zeros((16, 10)), np.arange(10.0)])
        calibrated.append((drawings, labels))
        return 1.5

    run_dir, digits = RunDir(tmp_path), sources.load("digits", image_size=32)
    few = {name: getattr(digits, name).take(slice(64)) for name in ("train", "validation", "test")}
    recipe = Recipe(epochs=1, batch_size=32, learning_rate=0.01, optimizer="muon")
    config = dataclasses.replace(presets.code("digits"), transform_recipe=recipe, classifier_path="small.keras")
    monkeypatch.setattr(train, "calibrate", calibrate)
    run_dir.claim(config)
    given = train.Given(dataclasses.replace(digits, **few), small_classifier(), origin={})
    results = train.train_and_evaluate(config, run_dir, Progress(), given)
    assert results["accuracy_by_bits"]["64"] == results["accuracy"]["protected"] == np.mean(few["test"].labels == 9)
    assert run_dir.read_environment()["reader_temperature"] == 1.5

    run_dir.reader.unlink()
    train.train_and_evaluate(config, run_dir, Progress(), given)
    assert run_dir.reader.is_file()
    sent = inference.load_protection(run_dir, config, 32)(few["validation"].images)
    for drawings, labels in calibrated:
        np.testing.assert_array_equal(drawings, sent)
        np.testing.assert_array_equal(labels, few["validation"].labels)
    assert len(calibrated) == 2
