"""The attacker on protections whose best answer is known."""

import keras
import numpy as np
import pytest

from i2p_tf import inference
from i2p_tf.attacks import fitting, leakage, sanity_checks
from i2p_tf.attacks.errors import AttackError
from i2p_tf.attacks.kinds import inverse_network
from i2p_tf.attacks.kinds.networks import wide
from i2p_tf.attacks.rows import NETWORKS
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import InverseNetwork
from i2p_tf.attacks.suite import SUITES
from i2p_tf.attacks.target import Target

pytestmark = pytest.mark.slow

BRIEF = Training(steps=20, batch_size=32)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Wide enough for digits, and a fraction of the time."""
    monkeypatch.setattr(wide, "UNITS", 256)


def quiet(line):
    pass


def blur(images):
    """Loses the strokes: means of 4x4 pixels."""
    coarse = images.reshape(len(images), 4, 4, 4, 4, 3).mean(axis=(2, 4))
    return np.uint8(coarse.repeat(4, axis=1).repeat(4, axis=2))


def mean_ssim(specification, protect, digits, seed=0):
    test = digits.test.take(slice(150))
    plain = test.images
    reconstructed, _ = inverse_network.attack(specification, Target(protect, digits.train, test, None), seed, quiet)
    assert reconstructed.dtype == np.uint8 and reconstructed.shape == plain.shape
    return float(np.mean(inference.visual_distance(reconstructed, plain)["ssim"]))


def test_a_step_is_traced_once(monkeypatch):
    """As in `test_trainer.py`."""
    traced, step = [], keras.Model.train_step

    def watched(network, data):
        traced.append(network)
        return step(network, data)

    monkeypatch.setattr(keras.Model, "train_step", watched)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    known = np.zeros((2, 20, 3), np.float32)
    fitting.fit(network, tuple(known), fitting.mse, BRIEF, 0, quiet)
    assert len(traced) == 1


def test_the_first_guess_undoes_a_fixed_key_encryption_of_pixels(digits):
    protect = sanity_checks.SANITY_CHECKS["fixed_key_pe"].protect
    network = inverse_network.inverse_network("unet_tiny", protect(digits.train.images), digits.train.images)
    reconstructed = inference.protect(network, protect(digits.test.images))
    assert np.mean(inference.visual_distance(reconstructed, digits.test.images)["ssim"]) > 0.97


def test_the_first_guess_leaves_a_shift_to_the_network(digits):
    protect = sanity_checks.SANITY_CHECKS["shifted"].protect
    network = inverse_network.inverse_network("unet_tiny", protect(digits.train.images), digits.train.images)
    reconstructed = inference.protect(network, protect(digits.test.images))
    assert np.mean(inference.visual_distance(reconstructed, digits.test.images)["ssim"]) < 0.7


def test_the_first_guess_for_a_constant_is_the_mean_image(digits):
    protect = sanity_checks.SANITY_CHECKS["constant"].protect
    network = inverse_network.inverse_network("unet_tiny", protect(digits.train.images), digits.train.images)
    reconstructed = inference.protect(network, protect(digits.test.images[:1]))[0]
    assert np.max(np.abs(reconstructed - digits.train.images.mean(axis=0))) <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_starts_with_the_guess_and_can_be_trained(name, digits):
    plain = digits.train.images[:64]
    network = inverse_network.inverse_network(name, 255 - plain, plain)
    first = network(np.float32(255 - plain[:2]) / 255, training=False)
    np.testing.assert_allclose(first, plain[:2] / 255, atol=0.02)
    images = np.float32(plain[:8]) / 255
    network.compile(keras.optimizers.Adam(1e-3), "mse", run_eagerly=True)
    network.train_on_batch(images, images)
    later = network(np.float32(255 - plain[:2]) / 255, training=False)
    assert float(np.max(np.abs(later - first))) > 1e-4


def test_the_network_undoes_a_shift(digits):
    specification = InverseNetwork("unet_tiny", "mse", Training(steps=120, batch_size=32))
    sanity_check = sanity_checks.SANITY_CHECKS["shifted"]
    assert mean_ssim(specification, sanity_check.protect, digits) >= sanity_check.at_least


def test_what_a_blur_hides_is_reconstructed(digits):
    specification = InverseNetwork("wide", "mse_ssim", Training(steps=60, batch_size=32))
    blurred = np.mean(inference.visual_distance(blur(digits.test.images), digits.test.images)["ssim"])
    assert mean_ssim(specification, blur, digits) > blurred + 0.05


def test_more_pairs_and_more_training_do_not_hurt(digits):
    def attacked(steps, pairs):
        return mean_ssim(InverseNetwork("wide", "mse", Training(steps, 32), pairs), blur, digits)

    few, many, longer = attacked(30, 30), attacked(30, None), attacked(100, None)
    assert many > few - 0.01
    assert longer > many - 0.01
    assert longer > few + 0.02


def test_an_attacker_who_asks_the_classifier_draws_the_class(digits):
    """Where the protected image shows nothing, the class is all there is: its mean image is the first guess."""
    train, plain, labels = digits.train, digits.test.images[:150], digits.test.labels[:150]
    answers = iter([np.eye(10, dtype=np.float32)[train.labels], np.eye(10, dtype=np.float32)[labels]])
    means = np.stack([train.images[train.labels == k].mean(axis=0) for k in range(10)])
    of_class = np.mean(inference.visual_distance(np.uint8(np.rint(means[labels])), plain)["ssim"])
    specification = InverseNetwork("wide", "mse", BRIEF, asks_classifier=True)
    grey = sanity_checks.SANITY_CHECKS["constant"].protect
    known = grey(train.images), train.images
    reconstructed, _ = inverse_network.reconstruct(
        specification, known, grey(plain), lambda images: next(answers), 0, quiet
    )
    assert np.mean(inference.visual_distance(reconstructed, plain)["ssim"]) > of_class - 0.02
    assert specification.name == "inverse_network_wide_mse_class"


def test_the_first_guess_knows_nothing_of_the_pairs_that_validate(digits, monkeypatch):
    placewise_map, fitted = inverse_network.placewise_map, []
    monkeypatch.setattr(inverse_network, "placewise_map", lambda *pairs: fitted.append(pairs) or placewise_map(*pairs))
    known = digits.train.images[:100] // 2, digits.train.images[:100]
    inverse_network.reconstruct(InverseNetwork("wide", "mse", BRIEF), known, known[0][:2], None, 0, quiet)
    ((protected, plain),) = fitted
    np.testing.assert_array_equal(protected, known[0][:90])
    np.testing.assert_array_equal(plain, known[1][:90])


def test_the_losses_tell_learning_from_finding_nothing(digits):
    """Of a blur the network learns more than its first guess has; of a constant nothing but its pairs."""
    losses = {}
    for name, protect in (("blur", blur), ("constant", sanity_checks.SANITY_CHECKS["constant"].protect)):
        known = protect(digits.train.images), digits.train.images
        specification = InverseNetwork("wide", "mse", Training(steps=60, batch_size=32))
        losses[name] = inverse_network.reconstruct(specification, known, known[0][:10], None, 0, quiet)[1]
    assert losses["blur"]["validation"] < 0.8 * losses["blur"]["validation_at_start"]
    assert losses["blur"]["training"] < 0.8 * losses["blur"]["validation_at_start"]
    assert losses["constant"]["validation"] > 0.95 * losses["constant"]["validation_at_start"]


def test_two_runs_with_one_seed_agree(digits):
    known = blur(digits.train.images), digits.train.images
    specification = InverseNetwork("wide", "mse", BRIEF)
    first, second = (
        inverse_network.reconstruct(specification, known, blur(digits.test.images[:20]), None, 3, quiet)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_only_the_given_number_of_pairs_is_used(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(fitting, "fit", lambda network, known, *_: seen.append([len(images) for images in known]))
    mean_ssim(InverseNetwork("unet_tiny", "mse", BRIEF, pairs=30), blur, digits)
    assert seen == [[30, 30]]


def test_every_suite_names_what_there_is():
    for suite in SUITES.values():
        for attack in (*suite.attacks, *suite.sanity_checks):
            assert set(attack.networks) <= set(NETWORKS)
            if isinstance(attack, InverseNetwork):
                assert attack.loss in inverse_network.LOSSES


def test_a_training_that_only_gets_worse_ends_where_it_began():
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs), name="attacker")
    generator, start = np.random.default_rng(0), network.get_weights()
    known = generator.random((40, 2), np.float32)
    noise = generator.normal(0, 0.01, (40, 1))
    targets = np.float32(network(known) + noise)  # nothing is much better than the start
    losses = fitting.fit(network, (known, targets), "mse", Training(10, 8, learning_rate=10.0), 0, quiet)
    assert losses["validation_at_start"] < losses["validation"]
    for before, now in zip(start, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)


def test_a_loss_that_is_not_finite_is_an_error():
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs), name="attacker")
    examples = np.full((8, 2), np.nan, np.float32), np.zeros((8, 1), np.float32)
    with pytest.raises(AttackError, match="the loss of attacker became nan"):
        fitting.fit(network, examples, "mse", BRIEF, 0, quiet)


def test_reidentification_by_hand():
    gallery = np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3), np.uint8)
    for reconstructed in (gallery, gallery // 2 + 40, 255 - gallery):
        better, tied = leakage.reidentification_ranks(reconstructed, gallery)
        assert better.tolist() == [0] * 50 and tied.tolist() == [1] * 50
    # Each image taken for its neighbour: the neighbour ranks before the source.
    better, _ = leakage.reidentification_ranks(np.roll(gallery, 1, axis=0), gallery)
    assert np.all(better >= 1)


def test_the_share_found_by_hand():
    better, tied = np.array([0, 0, 3, 4, 5]), np.array([1, 4, 2, 5, 1])
    assert leakage.share_found((better, tied), 1) == pytest.approx((1 + 1 / 4) / 5)
    assert leakage.share_found((better, tied), 5) == pytest.approx((1 + 1 + 1 + 1 / 5) / 5)


def test_a_constant_identifies_nobody():
    gallery = np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3), np.uint8)
    ranks = leakage.reidentification_ranks(np.full_like(gallery, 128), gallery)
    assert leakage.share_found(ranks, 1) <= 1 / 50 and leakage.share_found(ranks, 5) <= 5 / 50
