"""Codes: encoder, reader and adversary trained together."""

import keras
import numpy as np
import pytest

from i2p_tf import drawing, models
from i2p_tf.models import reader as readers
from i2p_tf.models.adversary import adversary
from i2p_tf.models.transforms.code import code
from i2p_tf.objectives.classification import Classification
from i2p_tf.objectives.code import SHARES, CodeTrainer
from i2p_tf.training.precision import dtype_policy

pytestmark = pytest.mark.slow
CLASSES = 3


@pytest.fixture(autouse=True)
def small_reader(monkeypatch):
    monkeypatch.setattr(readers, "FILTERS", 32)
    monkeypatch.setattr(readers, "BLOCKS", 1)


def data(n=40):
    """Pictures whose class is their brightest channel."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % CLASSES
    images = random.random((n, 32, 32, 3), np.float32) * 0.3
    images[np.arange(n), :, :, labels] += 0.5
    return images, labels


def code_trainer(policy="float32", adversary_weight=0.0, learning_rate=0.01):
    keras.utils.set_random_seed(0)
    images, labels = data()
    means = np.stack([images[labels == label].mean(axis=0) for label in range(CLASSES)])
    with dtype_policy(policy):
        classifier = models.classifier("resnet20", 32, CLASSES)
        classifier.trainable = False
        trainer = CodeTrainer(
            code("code_small", 32),
            readers.reader(32, CLASSES),
            Classification(classifier, 0.0),
            adversary(images.mean(axis=0), sees=(2 * drawing.ELEMENTS,)),
            means,
            adversary_weight,
            bits=64,
        )
    trainer.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=False)
    return trainer


def test_each_number_of_bits_is_sent_by_its_share_of_a_batch():
    trainer = code_trainer()
    counts = np.asarray(trainer._counts(40, training=True))
    shares = {bits: int(np.sum(counts == bits // 2)) for bits in drawing.BITS}
    assert shares == {bits: 2 * share for bits, share in zip(drawing.BITS, SHARES, strict=True)}
    assert set(np.asarray(trainer._counts(40, training=False))) == {32}


def test_it_learns_and_what_it_learned_is_read_from_drawings():
    trainer = code_trainer()
    images, labels = data()
    for _ in range(15):
        trainer.train_on_batch(images, labels)
        trainer.reset_metrics()
    drawings = np.rint(np.asarray(trainer.result(images, training=True)) * 255).astype(np.uint8)
    logits = trainer.reader(np.float32(drawing.cut(drawings, 64)) / 255, training=True)
    assert (np.asarray(logits).argmax(axis=1) == labels).mean() > 0.9


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_a_step_in_lower_precision_moves_encoder_reader_and_adversary(policy):
    trainer = code_trainer(policy, adversary_weight=1.0)
    parts = {"encoder": trainer.result, "reader": trainer.code_reader, "adversary": trainer.adversary}
    before = {name: part.get_weights() for name, part in parts.items()}
    values = trainer.train_on_batch(*data(), return_dict=True)
    assert all(np.isfinite(value) for value in values.values())
    for name, part in parts.items():
        assert any(not np.array_equal(*pair) for pair in zip(before[name], part.get_weights(), strict=True)), name


def test_a_checkpoint_holds_all_that_learns():
    groups = code_trainer().variable_groups()
    assert set(groups) == {"network", "optimizer", "adversary", "adversary_optimizer"}
    names = {variable.path for variable in groups["network"]}
    assert any("map_conv" in name for name in names)
    assert any("stem_conv" in name for name in names)


def test_the_encoder_moves_against_the_adversary():
    gains = {}
    for weight in (0.0, 20.0):
        trainer = code_trainer(adversary_weight=weight)
        for _ in range(15):
            values = trainer.train_on_batch(*data(), return_dict=True)
            trainer.reset_metrics()
        gains[weight] = float(values["adversary_gain"])
    assert gains[20.0] < gains[0.0]


def test_the_head_teaches_the_encoder_what_the_reader_does_not():
    trainer = code_trainer()
    trainer.code_reader.trainable = False
    trainer.code_reader.set_weights([np.zeros_like(weight) for weight in trainer.code_reader.get_weights()])
    first = trainer.result.get_layer("stem_conv").get_weights()[0]
    values = [trainer.train_on_batch(*data(), return_dict=True) for _ in range(8)]
    assert values[-1]["head_accuracy"] > values[0]["head_accuracy"]
    assert not np.array_equal(first, trainer.result.get_layer("stem_conv").get_weights()[0])
