"""What is found by codes alone: nearest pictures, linked views, and what sanity checks make of the results."""

import types

import numpy as np
import pytest

from i2p_tf import drawing
from i2p_tf.attacks.memory import NoMemory
from i2p_tf.data.dataset import Split
from i2p_tf.tradeoff import sanity_checks, symbols

N = 12


@pytest.fixture
def attackers():
    random = np.random.default_rng(0)
    train, test = (Split(random.integers(0, 256, (N, 16, 16, 3), np.uint8), np.arange(N) % 3) for _ in range(2))
    dataset = types.SimpleNamespace(train=train, test=test, num_classes=3)
    config = types.SimpleNamespace(augmentation="none", seed=0)
    bench = types.SimpleNamespace(dataset=dataset, config=config, seed=0, memory=NoMemory())
    found = symbols.Symbols(bench, transform=None)
    found._codes = {
        name: random.integers(0, 4, (N, drawing.ELEMENTS), np.int8) for name in ("known", "test", "altered")
    }
    return found


def test_the_nearest_neighbour_is_the_picture_with_the_nearest_code(attackers):
    known = attackers.codes_of("known")
    attackers._codes["test"] = known[::-1].copy()
    attackers.dataset.test.images[:] = attackers.known[::-1]
    result = attackers._nearest(512)
    assert result["ssim"] == pytest.approx(1.0)
    assert result["reidentification_top1"] == 1.0 and result["n"] == N


def test_only_what_is_sent_counts(attackers):
    known = attackers.codes_of("known")
    attackers._codes["test"] = np.concatenate([known[::-1, :4], known[:, 4:]], axis=1)
    attackers.dataset.test.images[:] = attackers.known
    assert attackers._nearest(512)["ssim"] == pytest.approx(1.0)
    assert attackers._nearest(8)["ssim"] < 0.9


def test_views_with_one_code_are_linked_and_equal_codes_are_a_guess(attackers):
    attackers._codes["altered"] = attackers.codes_of("test").copy()
    assert attackers.linkage(512)["top1"] == 1.0
    attackers._codes["test"][:] = attackers._codes["altered"][:] = 0
    linked = attackers.linkage(512)
    assert linked["top1"] == pytest.approx(1 / N) == linked["chance"]


def test_the_class_mean_is_that_of_the_right_class(attackers):
    guess = symbols._class_mean(attackers.bench)
    train = attackers.dataset.train
    np.testing.assert_array_equal(guess[4], np.rint(train.images[train.labels == 1].mean(axis=0)))


@pytest.mark.parametrize(
    ("ceiling", "constant", "words"),
    [(0.5, 0.11, []), (0.2, 0.11, ["ceiling"]), (0.5, 0.15, ["constant"])],
)
def test_what_contradicts_the_known_fate_is_named(ceiling, constant, words):
    lines = sanity_checks.failures(ceiling, 0.3, {"ssim": constant, "mean_image": 0.1})
    assert [line.split()[0] for line in lines] == words
