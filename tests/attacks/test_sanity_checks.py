import numpy as np
import pytest
from absl.testing import flagsaver

from i2p_tf.attacks import sanity_checks
from i2p_tf.attacks.kinds import feature_reconstruction
from i2p_tf.attacks.suite import SUITES


def images(count=4, size=16):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_what_the_sanity_checks_do_to_an_image():
    plain = images()
    identity, encrypted, shifted, constant = (
        sanity_checks.SANITY_CHECKS[name].protect(plain) for name in ("identity", "fixed_key_pe", "shifted", "constant")
    )
    np.testing.assert_array_equal(identity, plain)
    assert encrypted.shape == plain.shape and np.mean(encrypted == plain) < 0.3
    np.testing.assert_array_equal(encrypted, sanity_checks.SANITY_CHECKS["fixed_key_pe"].protect(plain))
    np.testing.assert_array_equal(shifted[:, 2:, 2:], plain[:, :-2, :-2])
    assert np.all(constant == constant[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("name", "ssim", "behaves"),
    [
        ("identity", 0.951, True),
        ("identity", 0.949, False),
        ("fixed_key_pe", 0.801, True),
        ("fixed_key_pe", 0.799, False),
        ("shifted", 0.801, True),
        ("shifted", 0.799, False),
        ("constant", 0.319, True),
        ("constant", 0.281, True),
        ("constant", 0.321, False),
        ("constant", 0.279, False),
        ("identity", float("nan"), False),
        ("constant", float("nan"), False),
    ],
)
def test_a_sanity_check_that_misbehaves_is_named_with_the_remedy(name, ssim, behaves):
    line = sanity_checks.misbehaviour(name, ssim, mean_image_ssim=0.3)
    assert (line is None) == behaves
    if not behaves:
        assert line.startswith(name) and "longer suite" in line and "\n" not in line


def test_feature_reconstruction_by_hand():
    protected = np.array([0, 1, 127, 128, 254, 255], np.uint8)
    assert feature_reconstruction.reconstruct(protected).tolist() == [0, 1, 127, 127, 1, 0]
    inverted = images()
    np.testing.assert_array_equal(
        feature_reconstruction.reconstruct(255 - inverted), feature_reconstruction.reconstruct(inverted)
    )


@pytest.mark.parametrize("name", SUITES)
def test_no_two_attacks_of_a_suite_share_a_name(name):
    names = [attack.name for attack in SUITES[name].attacks]
    assert len(set(names)) == len(names)
    assert (
        SUITES[name].sanity_checks[0].loss == "mse"
    )  # the mean image, which the constant must give, is best in this loss


@pytest.mark.parametrize("flag", ["sanity_checks_from", "controls_from"])
def test_the_former_flag_still_says_whose_sanity_checks_are_taken(flag):
    from i2p_tf.cli import attack

    before = flagsaver.save_flag_values(attack.FLAGS)
    try:
        attack.FLAGS(["attack", f"--{flag}=another"])
        assert attack.FLAGS.sanity_checks_from == "another"
    finally:
        flagsaver.restore_flag_values(before, attack.FLAGS)
