"""An entry of each concept that another package adds: one row, and it can be configured, given by flags and trained."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from i2p_tf import concepts, models
from i2p_tf.channels.table import CHANNELS, Channel
from i2p_tf.cli import train
from i2p_tf.config import Config
from i2p_tf.encryption import KEY_BYTES, SCHEMES, scheme
from i2p_tf.encryption.scrambling import Scrambling
from i2p_tf.encryption.table import Scheme
from i2p_tf.errors import InputError
from i2p_tf.models.classifiers.table import CLASSIFIERS, Classifier
from i2p_tf.models.transforms.table import TRANSFORMS, Transform
from i2p_tf.objectives.classification import classification
from i2p_tf.objectives.table import OBJECTIVES, Objective
from i2p_tf.objectives.trainer import TransformTrainer
from i2p_tf.run_dir import RunDir
from i2p_tf.tables import Parameter
from i2p_tf.training.progress import Progress
from i2p_tf.training.train import train_and_evaluate


def dense_classifier(image_size, num_classes):
    images = keras.Input((image_size, image_size, 3))
    return keras.Model(images, layers.Dense(num_classes, name="logits")(layers.Flatten()(images)), name="dense")


def mixed_colours(image_size, num_classes, parameters):
    images = keras.Input((image_size, image_size, 3))
    colours = layers.Dense(3 * parameters["mixtures"], activation="relu")(images)
    return keras.Model(images, layers.Dense(3, activation="sigmoid", dtype="float32")(colours), name="transform")


def read_trainer(setting):
    """Trains h_θ to be read, and no more."""
    reading = classification(setting.config, setting.classifier)

    def objective(plain, protected, labels):
        assert setting.config.patience == 4
        return reading(plain, reading.read(protected), labels)

    return TransformTrainer(setting.new_transform(), objective)


def negative(key, image_size):
    count = 3 * image_size**2
    return Scrambling(np.arange(count), np.ones(count, bool), image_size)


def forget():
    for name in train.FLAGS:
        train.FLAGS[name].unparse()


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    for table in concepts.TABLES.values():
        monkeypatch.setattr(table, "_rows", dict(table))
    CLASSIFIERS.register(Classifier("dense", "one layer", dense_classifier))
    mixtures = Parameter("mixtures", 2, "thirds of the mixtures", minimum=1, maximum=8)
    TRANSFORMS.register(Transform("mixed", "mixes colours", mixed_colours, sends="mixture", parameters=(mixtures,)))
    patience = Parameter("patience", 3, "of the reader")
    OBJECTIVES.register(Objective("read", "to be read", read_trainer, ("mixture",), "read", parameters=(patience,)))
    CHANNELS.register(Channel("dark", "half as bright", lambda image: image // 2, lambda images: 0.5 * images))
    SCHEMES.register(Scheme("negative", "the negative", negative))
    train.define_table_flags()
    yield
    forget()
    for name in ("mixtures", "patience"):
        delattr(train.FLAGS, name)


def config(*arguments):
    forget()
    train.FLAGS(["train", "--dataset=digits", "--preset=smoke", "--image_size=16", "--classifier=dense", *arguments])
    return train.config_from_flags()


OURS = ("--transform=mixed", "--objective=read", "--channel=dark", "--patience=4", "--precision=float32")


def test_they_are_trained(tmp_path):
    ours = dataclasses.replace(config(*OURS, "--batch_size=64"), training_images=64)
    assert ours.parameters == {"mixtures": 2, "patience": 4} and Config.from_json(ours.to_json()) == ours
    run_dir = RunDir(tmp_path)
    run_dir.claim(ours)
    results = train_and_evaluate(ours, run_dir, Progress())
    assert results["cost"]["transform_parameters"] == 4 * 6 + 7 * 3
    assert "dark" in str(results)
    assert {line["phase"] for line in run_dir.read_metrics()} == {"classifier", "transform"}


def test_their_parameters_are_checked_and_named_in_the_help():
    assert "mixed: mixes colours" in train.FLAGS["transform"].help
    assert (
        train.FLAGS["mixtures"].help == "for the transform mixed: thirds of the mixtures (default: 2, or the preset's)"
    )
    with pytest.raises(InputError, match="mixtures must be an integer of at most 8. Received: 9"):
        config(*OURS, "--mixtures=9")
    with pytest.raises(InputError, match="the transform 'mixed' with the objectives read"):
        config("--transform=mixed")


def test_a_keyed_method():
    with pytest.raises(InputError, match="--mixtures: for a transform only"):
        config("--encryption=negative", "--mixtures=1")
    assert config("--encryption=negative").encryption == "negative"
    images = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
    np.testing.assert_array_equal(scheme("negative", bytes(KEY_BYTES), 8).encrypt(images), 255 - images)
    assert models.classifier("dense", 8, 3, "negative").output_shape == (None, 3)
