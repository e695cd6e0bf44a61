"""A reduced suite against a trained run of digits."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from i2p_tf import inference
from i2p_tf.attacks import fitting, run, sanity_checks, suite, summary
from i2p_tf.attacks.kinds import gradient_inversion, linear_map
from i2p_tf.attacks.kinds.networks import wide
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import (
    BruteForce,
    Gan,
    GradientInversion,
    InverseNetwork,
    LinearMap,
    Linkage,
)
from i2p_tf.attacks.suite import SUITES, Suite
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.run_dir import RunDir

pytestmark = pytest.mark.slow

ATTACK = InverseNetwork("wide", "mse", Training(steps=50, batch_size=32))
DESCENT = GradientInversion(images=20, steps=60)
GAN = Gan("wide", Training(steps=10, batch_size=16), images=600)
REDUCED = Suite(
    (ATTACK, LinearMap(), GAN, DESCENT),
    sanity_checks=(ATTACK, DESCENT, LinearMap()),
    evaluation_classifier=Training(steps=150, batch_size=32),
    label_only=ATTACK.training,
    repetitions=2,
    test_images=200,
)


@pytest.fixture(scope="module")
def reduced():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, "quick", REDUCED)
        patch.setattr(wide, "UNITS", 256)
        patch.delitem(sanity_checks.SANITY_CHECKS, "shifted")  # takes longer; test_inverse_network.py has it
        yield


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, trained_run, digits, reduced):
    """A copy of the run, attacked; its results; what the attackers were given to learn from."""
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path_factory.mktemp("runs") / "attacked"))
    learnt_from = []
    fit, batches = fitting.fit, fitting.batches

    def watched_fit(network, known, *rest):
        learnt_from.extend(known)
        return fit(network, known, *rest)

    def watched_batches(examples, *rest):
        learnt_from.extend(examples)
        return batches(examples, *rest)

    def watched(reconstruct, position):
        def watched_reconstruct(*arguments):
            learnt_from.extend(arguments[position])
            return reconstruct(*arguments)

        return watched_reconstruct

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_map, "reconstruct", watched(linear_map.reconstruct, 0))
        patch.setattr(gradient_inversion, "reconstruct", watched(gradient_inversion.reconstruct, 2))
        patch.setattr(fitting, "fit", watched_fit)
        patch.setattr(fitting, "batches", watched_batches)
        results = run.run_suite(run_dir, digits, "quick", 0, lambda line: None)
    return run_dir, results, learnt_from


def test_the_sanity_checks_behave(attacked):
    _, results, _ = attacked
    assert results["attacks"]["sanity_check_identity"]["ssim"]["mean"] >= 0.95
    assert results["attacks"]["sanity_check_fixed_key_pe"]["ssim"]["mean"] >= 0.8
    baseline = results["prior_only"]["mean_image"]["ssim"]["mean"]
    assert abs(results["attacks"]["sanity_check_constant"]["ssim"]["mean"] - baseline) <= 0.02
    assert results["attack_suite"]["valid"] and results["attack_suite"]["failed_sanity_checks"] == []


def test_results_have_what_the_schema_names(attacked, digits):
    run_dir, results, _ = attacked
    assert json.loads(run_dir.results.read_text()) == results
    attacks = results["attacks"]
    seeds = [f"inverse_network_wide_mse_seed{seed}" for seed in (0, 1)]
    assert list(attacks) == [
        "as_is",
        "feature_reconstruction",
        *seeds,
        "linear_map",
        "gan_wide_seed0",
        "gan_wide_seed1",
        "gradient_inversion",
        *(f"sanity_check_{name}" for name in sanity_checks.SANITY_CHECKS if name != "fixed_key_etc"),
        "sanity_check_gradient_inversion_identity",
        "sanity_check_gradient_inversion_constant",
        "sanity_check_linear_map_fixed_key_etc",
        "sanity_check_linear_map_constant",
    ]
    for name, result in attacks.items():
        assert result["n"] == (20 if "gradient_inversion" in name else 200)
        assert result["sanity_check"] == name.startswith("sanity_check_")
        assert {"threat_model", "pairs", "seed", "seconds"} <= set(result)
        for metric in ("ssim", "psnr"):
            assert set(result[metric]) == {"mean", "median", "p95", "max"}
        for share in ("accuracy_on_reconstructed", "reidentification_top1", "reidentification_top5"):
            assert 0 <= result[share] <= 1
    assert attacks[seeds[0]]["pairs"] == len(digits.train.labels) and attacks["as_is"]["pairs"] == 0
    assert set(results["prior_only"]) == {"mean_image", "random_image", "label_only"}
    assert results["attack_suite"]["environment"]["packages"]["keras"] == keras.__version__
    table = summary.table(results)
    assert "sanity_check_constant" in table and "linkage: " in table and " over 2 seeds" in table


def test_sanity_checks_and_evaluation_classifier_of_another_run_are_taken_and_nothing_else(
    attacked, trained_run, digits, tmp_path, monkeypatch
):
    other, expected, _ = attacked
    monkeypatch.setitem(
        SUITES, "quick", dataclasses.replace(REDUCED, repetitions=1, attacks=(ATTACK, LinearMap(), DESCENT))
    )
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))
    transform = keras.models.load_model(run_dir.transform)
    transform.set_weights([weight * 0.5 for weight in transform.get_weights()])
    transform.save(run_dir.transform)
    lines = []
    results = run.run_suite(run_dir, digits, "quick", 0, lines.append, sanity_checks_from=other)
    taken = {line.partition(": ")[0] for line in lines if line.endswith(f": taken from {other.path}")}
    assert taken == {"evaluation_classifier"} | {
        name for name, result in expected["attacks"].items() if result["sanity_check"]
    }
    assert not any(
        line.startswith("evaluation classifier: training") or line.endswith("done earlier") for line in lines
    )
    for name in taken - {"evaluation_classifier"}:
        assert results["attacks"][name] == expected["attacks"][name]
        assert (run_dir.attack("quick", name) / "samples.png").is_file()
    for name in results["attacks"].keys() - taken:  # of another transform the figures are others, not the time alone
        assert results["attacks"][name]["psnr"] != expected["attacks"][name]["psnr"]


def test_what_leaks_is_measured(attacked):
    _, results, _ = attacked
    attacks, prior_only = results["attacks"], results["prior_only"]
    assert attacks["sanity_check_identity"]["reidentification_top1"] == 1.0
    assert attacks["sanity_check_constant"]["reidentification_top5"] <= 5 / 200
    evaluation_classifier = results["attack_suite"]["evaluation_classifier"]
    assert evaluation_classifier["plain"] > 0.7
    assert abs(attacks["sanity_check_identity"]["accuracy_on_reconstructed"] - evaluation_classifier["plain"]) < 0.05
    assert prior_only["mean_image"]["accuracy_on_reconstructed"] < 0.2
    # The class alone draws a better digit than none.
    assert prior_only["label_only"]["ssim"]["mean"] > prior_only["mean_image"]["ssim"]["mean"] + 0.05


def test_a_sample_is_searched_in_the_gallery_of_all(attacked):
    _, results, _ = attacked
    sample = results["attacks"]["sanity_check_gradient_inversion_constant"]
    # Of 20 equal guesses one at most finds its source; among 20 pictures five would have been found.
    assert sample["n"] == 20 and sample["reidentification_top5"] <= 0.1
    assert sample["ssim"]["mean"] == pytest.approx(sample["mean_image_ssim"], abs=0.02)


def test_linkage_has_its_reference_and_chance(attacked):
    _, results, _ = attacked
    linkage = results["linkage"]
    assert linkage["n"] == 200 and linkage["chance"] == {"top1": 1 / 200, "top5": 5 / 200}
    assert linkage["plain"]["top5"] >= linkage["plain"]["top1"] > 0.2


def test_attackers_learn_from_no_test_image(attacked, digits):
    _, _, learnt_from = attacked
    test = {image.tobytes() for image in digits.test.images}
    images = [array for array in learnt_from if array.dtype == np.uint8 and array.ndim == 4]
    assert len(images) >= 10
    assert not any(image.tobytes() in test for array in images for image in array)


def test_samples_are_plain_protected_and_reconstructed(attacked, digits):
    run_dir, results, _ = attacked

    def rows(name):
        return np.split(np.asarray(Image.open(run_dir.attack("quick", name) / "samples.png")), 3)

    plain, protected, reconstructed = rows("sanity_check_identity")
    np.testing.assert_array_equal(plain, protected)
    assert np.mean(np.abs(np.int16(plain) - reconstructed)) < 8
    _, protected, _ = rows("sanity_check_constant")
    assert np.all(protected == sanity_checks.GREY)


def test_what_is_finished_is_not_repeated(attacked, digits, monkeypatch):
    run_dir, results, _ = attacked
    monkeypatch.setattr(fitting, "fit", lambda *_: pytest.fail("something was trained again"))
    lines = []
    again = run.run_suite(run_dir, digits, "quick", 0, lines.append)
    assert again == results
    assert "as_is: done earlier" in lines and "sanity_check_constant: done earlier" in lines


def test_another_suite_overwrites_nothing(attacked, digits, tmp_path):
    run_dir = RunDir(shutil.copytree(attacked[0].path, tmp_path / "run"))
    computed = []

    def measure(suite_name):
        bench = run.bench_of(run_dir, digits, suite_name, SUITES[suite_name], 0, lambda line: None)
        bench.memory.result("as_is", {}, {}, lambda: computed.append(suite_name) or {})

    for suite_name in ("standard", "quick", "standard"):
        measure(suite_name)
    assert computed == ["standard", "quick"]  # as "quick" has another specification in the run


def test_what_applies_to_a_keyed_method_and_to_an_attribute(attacked, digits, monkeypatch, tmp_path):
    run_dir = RunDir(shutil.copytree(attacked[0].path, tmp_path / "run"))
    bench_of = run.bench_of

    def keyed(*arguments):
        bench = bench_of(*arguments)
        bench.target.encryption, bench.target.transform = "pe", None
        return bench

    monkeypatch.setattr(run, "bench_of", keyed)
    monkeypatch.setattr(suite, "READING", (Linkage(), BruteForce(shrunken_key_bits=3)))

    def with_parity(split):
        return dataclasses.replace(split, attribute=np.int32(split.labels % 2))

    parts = {part: with_parity(getattr(digits, part)) for part in ("train", "validation", "test")}
    dataset = dataclasses.replace(digits, attribute_values=("even", "odd"), **parts)
    lines = []
    results = run.run_suite(run_dir, dataset, "quick", 0, lines.append, attribute="parity")
    assert any(line.startswith("gradient_inversion: left out") for line in lines)
    assert not any("gradient_inversion" in name for name in results["attacks"])
    assert results["brute_force"]["method"] == "pe" and results["brute_force"]["key_bits"] == 256
    parity = results["attribute_inference"]["parity"]
    assert parity["majority_given_class"] == 1.0 and parity["plain"] > 0.7 and parity["n"] == 200
    table = summary.table(results)
    assert "brute force: pe" in table and "parity: a network" in table

    monkeypatch.setattr(fitting, "fit", lambda *_: pytest.fail("something was trained again"))
    assert run.run_suite(run_dir, dataset, "quick", 0, lines.append, attribute="parity") == results


def test_an_attacker_can_learn_from_the_pictures_of_another_set(attacked, digits, monkeypatch, tmp_path):
    run_dir = RunDir(shutil.copytree(attacked[0].path, tmp_path / "run"))
    pictures = dataclasses.replace(digits.train, images=255 - digits.train.images)
    others = dataclasses.replace(digits, name="folder:others", train=pictures.take(slice(100)))
    learnt_from, fit = [], fitting.fit

    def watched_fit(network, known, *rest):
        learnt_from.append(known)
        return fit(network, known, *rest)

    monkeypatch.setattr(fitting, "fit", watched_fit)
    attacks = run.run_suite(run_dir, digits, "quick", 0, lambda line: None, others=others)["attacks"]
    names = [name for name in attacks if "other_pictures" in name]
    assert [name[-6:] for name in names] == ["_seed0", "_seed1"]
    for name in names:
        about = [attacks[name][key] for key in ("pairs_from", "pairs", "threat_model")]
        assert about == ["folder:others", 100, "T1"]
    transform = keras.models.load_model(run_dir.transform)
    assert len(learnt_from) == 2
    for protected, plain in learnt_from:
        np.testing.assert_array_equal(plain, others.train.images)
        np.testing.assert_array_equal(protected, inference.protect(transform, others.train.images))
    fewer = dataclasses.replace(others, train=pictures.take(slice(90)))
    run.run_suite(run_dir, digits, "quick", 0, lambda line: None, repetitions=1, others=fewer)
    assert len(learnt_from) == 3  # of other pictures the result is another
    again = run.run_suite(run_dir, digits, "quick", 0, lambda line: None, others=others)
    assert len(learnt_from) == 3 and again["attacks"] == attacks


def test_another_transform_is_attacked_again(attacked, digits, tmp_path):
    run_dir = RunDir(shutil.copytree(attacked[0].path, tmp_path / "run"))
    transform = keras.models.load_model(run_dir.transform)
    transform.set_weights([weight * 1.01 for weight in transform.get_weights()])
    transform.save(run_dir.transform)
    bench = run.bench_of(run_dir, digits, "quick", REDUCED, 0, lambda line: None)
    guess = digits.test.images[:200]
    specification = {"sanity_check": False, "threat_model": "T0", "pairs": 0, "seed": None}
    assert bench.measure("as_is", specification, lambda: (guess, {}))["ssim"]["mean"] > 0.99


def test_an_attack_that_fails_a_sanity_check_makes_the_results_invalid(attacked, digits, monkeypatch, tmp_path):
    run_dir = RunDir(shutil.copytree(attacked[0].path, tmp_path / "run"))
    strict = {"identity": dataclasses.replace(sanity_checks.SANITY_CHECKS["identity"], at_least=1.1)}
    monkeypatch.setattr(sanity_checks, "SANITY_CHECKS", sanity_checks.SANITY_CHECKS | strict)
    found = run.run_suite(run_dir, digits, "quick", 0, lambda line: None)["attack_suite"]
    assert not found["valid"]
    assert found["failed_sanity_checks"][0].startswith("identity is reconstructed with a mean SSIM of ")


def test_images_that_a_suite_does_not_fit_are_refused(attacked):
    odd = sources.load("digits", image_size=20)
    with pytest.raises(
        InputError, match="suite 'standard' does not fit these images: .* multiple of 8 .* Received: 20"
    ):
        run.run_suite(attacked[0], odd, "standard", 0, lambda line: None)


def test_the_strongest_attack_counts_by_metric_with_its_range_over_seeds():
    def result(ssim, top1, **values):
        shares = dict.fromkeys(summary.METRICS[2:], top1)
        return {"ssim": {"mean": ssim}, "psnr": {"mean": 10 * ssim}, "sanity_check": False, "n": 9} | shares | values

    best = summary.strongest(
        {
            "as_is": result(0.1, 0.9),
            "net_seed0": result(0.4, 0.2, attack="net"),
            "net_seed1": result(0.6, 0.3, attack="net"),
            "other_seed0": result(0.5, 0.1, attack="other"),
            "sample": result(0.2, 1.0, attack="sample", n=2),
        }
    )
    assert best["accuracy_on_reconstructed"] == {"attack": "as_is", "value": 0.9, "range": [0.9, 0.9]}
    assert best["reidentification_top5"] == {"attack": "sample", "value": 1.0, "range": [1.0, 1.0]}
    assert best["ssim"] == {"attack": "net_seed1", "value": 0.6, "range": [0.4, 0.6]}
