"""Attacks in Python, without a run directory; an attack and an attacker's network from outside the package."""

import dataclasses

import keras
import numpy as np
import pytest

from i2p_tf import tables
from i2p_tf.attacks import rows, suite
from i2p_tf.attacks.attack import _class_alone, _mixed, attack
from i2p_tf.attacks.specification import Specification, Training
from i2p_tf.attacks.specifications import InverseNetwork
from i2p_tf.attacks.threat_models import T0
from i2p_tf.errors import InputError
from i2p_tf.report import names

pytestmark = pytest.mark.slow

BRIEF = Training(steps=10, batch_size=32)


@dataclasses.dataclass(frozen=True)
class Negative(Specification):
    """A toy attack: takes the protected image for a negative."""

    kind = "negative"
    seeded = False
    pairs: int = 0
    threat_model: str = T0.name


def negative(specification, target, seed, say):
    return 255 - target.protected, {"toy": True}


def toy(size, channels):
    """A toy network: one convolution."""
    images = keras.Input((size, size, channels))
    return keras.Model(images, keras.layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(images))


@pytest.fixture
def toys(monkeypatch):
    """Both in the tables, by one statement each."""
    for table in (rows.ATTACKS, rows.NETWORKS):
        monkeypatch.setattr(table, "_rows", dict(table._rows))
    rows.ATTACKS.register(
        rows.Attack("negative", "inverts", "negative", T0, Negative, negative, sanity_checks=("identity",))
    )
    rows.NETWORKS.register(rows.Network("toy", "one convolution", "toy network", toy))


@pytest.fixture
def only_identity(monkeypatch):
    from i2p_tf.attacks import sanity_checks

    monkeypatch.setattr(sanity_checks, "SANITY_CHECKS", {"identity": sanity_checks.SANITY_CHECKS["identity"]})


def classify(images):
    """A classifier that is a function: logits of ten classes by brightness."""
    return -np.square(images.mean(axis=(1, 2, 3))[:, np.newaxis] / 25 - np.arange(10))


def splits(digits):
    train, test = digits.train.take(slice(200)), digits.test.take(slice(40))
    return (train.images, train.labels), (test.images, test.labels)


def test_a_toy_attack_and_a_toy_network_from_outside_are_run(digits, toys, only_identity):
    learner = InverseNetwork("toy", "mse", BRIEF)
    own = suite.Suite((Negative(), learner), sanity_checks=(learner,), evaluation_classifier=BRIEF, label_only=BRIEF)
    lines = []
    found = attack(lambda images: 255 - images, classify, *splits(digits), suite=own, say=lines.append)
    assert list(found.attacks) == ["as_is", "feature_reconstruction", "negative", "inverse_network_toy_mse_seed0"]
    result = found.attacks["negative"]
    assert result["ssim"]["mean"] == 1.0 and result["toy"] and result["threat_model"] == "T0" and result["n"] == 40
    assert (
        found.valid
        and found.sanity_checks["identity"]["sanity_check"]
        and found.strongest["ssim"]["attack"] == "negative"
    )
    assert names.plain("inverse_network_toy_mse") == "inverse network, toy network, squared error"
    assert "strongest by ssim: 1.0000, negative" in str(found) and "as_is" in lines
    assert set(found.results()) == {"attacks", "prior_only", "linkage", "attack_suite"}


def test_a_keras_model_is_a_classifier(digits, only_identity):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    own = suite.Suite((InverseNetwork("wide", "mse", BRIEF, asks_classifier=True),), (), BRIEF, BRIEF)
    found = attack(lambda images: images // 2, model, *splits(digits), suite=own, seed=3, say=lambda line: None)
    assert "inverse_network_wide_mse_class_seed3" in found.attacks and found.evaluation_classifier["n"] == 40


def test_attackers_learn_from_all_classes_in_whatever_order_the_arrays_are(digits):
    order = np.argsort(digits.train.labels, kind="stable")
    mixed = _mixed(digits.train.take(order))
    np.testing.assert_array_equal(np.sort(mixed.labels), digits.train.labels[order])
    assert set(mixed.labels[:100]) == set(range(10))
    place = order[np.random.default_rng(0).permutation(len(order))[0]]
    np.testing.assert_array_equal(mixed.images[0], digits.train.images[place])


def test_the_class_alone_says_nothing_of_how_likely_it_is():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])
    np.testing.assert_array_equal(_class_alone(probabilities), [[1, 0, 0], [1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": (np.zeros((4, 16, 16, 3)), np.zeros(4, int))}, r"images of `train` must be uint8 .* float64"),
        ({"test": (np.zeros((4, 16, 16, 3), np.uint8), np.zeros(3, int))}, r"labels of `test` .* \(3,\) for 4 images"),
        ({"test": (np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, int))}, "differ in size"),
        ({"test": (np.zeros((4, 16, 16, 3), np.uint8), np.full(4, 10))}, "knows 10 classes, and there is a label 10"),
        ({"protect": lambda images: images / 255}, "`protect` must give uint8"),
        ({"suite": "quik"}, "unknown suite 'quik'.* Did you mean quick"),
    ],
)
def test_what_can_not_be_attacked_is_one_line(change, words, digits):
    train, test = splits(digits)
    own = suite.Suite((), (), BRIEF, BRIEF)
    given = {"protect": lambda images: images, "train": train, "test": test, "suite": own} | change
    with pytest.raises(InputError, match=words):
        attack(classifier=classify, say=lambda line: None, **given)


def test_a_network_that_does_not_fit_the_images_is_named(digits):
    own = suite.Suite((InverseNetwork("unet_paper", "mse", BRIEF),), (), BRIEF, BRIEF)
    small = tuple((images[:, :12, :12], labels) for images, labels in splits(digits))
    with pytest.raises(InputError, match="multiple of 16 for the network unet_paper. Received: 12"):
        attack(lambda images: images, classify, *small, suite=own)


def test_every_row_has_code_and_stands_in_the_documentation():
    import pathlib

    text = (pathlib.Path(__file__).parents[2] / "docs" / "attacks.md").read_text()
    for row in (*rows.ATTACKS.values(), *rows.NETWORKS.values()):
        assert callable(tables.load(row.code))
        assert f"`{row.name}" in text and row.help in text, row.name
