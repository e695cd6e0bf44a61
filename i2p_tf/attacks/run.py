"""Runs a suite against a run: attacks, floors, controls and what else leaks into results.json."""

import dataclasses
import functools
import hashlib

import numpy as np

from i2p_tf import encryption, evaluation
from i2p_tf.attacks import (
    attribute_inference,
    brute_force,
    controls,
    feature_reconstruction,
    fitting,
    floors,
    gan,
    gradient_inversion,
    inverse_network,
    linear_map,
    linkage,
)
from i2p_tf.attacks.bench import Bench, Subject
from i2p_tf.attacks.suite import SUITES
from i2p_tf.attacks.summary import strongest
from i2p_tf.attacks.threat_models import T0, T1
from i2p_tf.environment import describe_environment
from i2p_tf.errors import InputError
from i2p_tf.models.transforms import unet
from i2p_tf.run_dir import RESULTS_SCHEMA, write_json


def run_suite(run_dir, dataset, name, seed, say, repetitions=None, attribute=None, controls_from=None, others=None):
    """Attacks what protects the pictures of a run, into results.json; what is finished is not repeated.

    Args:
        run_dir: a `RunDir` with all that protects and classifies, locked.
        dataset: its `data.sources.Dataset`. Attackers learn from its training images, but for that of `others`, and are
            tried on its test images.
        name: a key of `SUITES`.
        seed: of the first repetition; the others count on from it.
        say: called with each line of progress.
        repetitions: with how many seeds each attack is run that is trained; the suite's number if not given.
        attribute: the name of the attribute that `dataset` has been loaded with; None for none.
        controls_from: a `RunDir` that has been attacked, or None. What does not depend on h_θ, the judge and the
            controls, is taken from there if it was made with the same images, suite and seed.
        others: another `Dataset` of the same image size, from whose training images an attacker makes pairs; or None.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if a network is missing or can't be read, or the suite has networks that don't fit the images.
        AttackError: if an attack can't be carried out.
    """
    former, suite = run_dir.read_results(), SUITES[name]
    suite = dataclasses.replace(suite, repetitions=repetitions or suite.repetitions)
    _check_image_size(name, dataset.image_size)
    if linear_map.symbols(dataset.image_size, halves=True) > linear_map.MOST_SYMBOLS:
        say(f"linear_map: left out, as images of {dataset.image_size}x{dataset.image_size} have too many values")
        suite = dataclasses.replace(suite, linear_map=None)
    run_dir.remove_left_overs()
    bench = Bench(run_dir, dataset, name, suite, seed, say, controls_from)
    attacks = _attack_protection(bench, others)
    floor_results = _measure_floors(bench)
    control_results, failures = _attack_controls(bench, floor_results["mean_image"]["ssim"]["mean"])
    results = former | {
        "schema": RESULTS_SCHEMA,
        "attacks": attacks | {f"control_{key}": result for key, result in control_results.items()},
        "floors": floor_results,
        "linkage": _measure_linkage(bench),
        **_measure_what_applies(bench, attribute),
        "attack_suite": {
            "name": name,
            "valid": not failures,
            "failed_controls": failures,
            "strongest": strongest(attacks),
            "judge": bench.judge_accuracy(),
            "networks": bench.subject.networks,
            "environment": describe_environment(),
        },
    }
    write_json(run_dir.results, results)
    return results


def _check_image_size(name, image_size):
    suite = SUITES[name]
    for attack in filter(None, (*suite.attacks, suite.control, suite.gan)):
        kind, _, size = attack.architecture.partition("_")
        try:
            if kind == "unet":
                unet.check_image_size(size, image_size)
        except ValueError as error:
            raise InputError(f"the suite {name!r} does not fit these images: {error}") from error


def _attack_protection(bench, others):
    """What protects the run's pictures under every attack of the suite, and one that learns from other pictures."""
    untrained = {"control": False, "threat_model": T0.name, "pairs": 0, "seed": None}
    subject, suite = bench.subject, bench.suite
    attacks = {
        "as_is": bench.measure("as_is", untrained, lambda: subject.protected),
        "feature_reconstruction": bench.measure(
            "feature_reconstruction", untrained, lambda: feature_reconstruction.restore(subject.protected)
        ),
    }
    for attack in suite.attacks:
        for seed in bench.seeds:
            name = f"{attack.name}_seed{seed}"
            attacks[name] = _train_inverse_network(bench, name, attack, subject, seed, control=False)
    if others:
        attacks |= _learn_from_others(bench, others)
    if suite.linear_map:
        attacks[suite.linear_map.name] = _fit_linear_map(bench, suite.linear_map.name, subject, control=False)
    if suite.gan:
        attacks |= {f"{suite.gan.name}_seed{seed}": _train_gan(bench, suite.gan, seed) for seed in bench.seeds}
    if suite.gradient_inversion and bench.transform:
        transform = functools.partial(bench.transform, training=False)
        name = suite.gradient_inversion.name
        attacks[name] = _invert_by_gradient(bench, name, transform, subject, control=False)
    elif suite.gradient_inversion:
        bench.say("gradient_inversion: left out, as whoever has no key has nothing to differentiate")
    return attacks


def _attack_controls(bench, mean_image_ssim):
    """Results by name of the control, and what is wrong with them, in lines."""
    results, failures = {}, []
    for name, control in controls.CONTROLS.items():
        if control.far:
            continue
        subject = Subject(control.protect, bench)
        results[name] = _train_inverse_network(
            bench, f"control_{name}", bench.suite.control, subject, bench.seed, control=True
        )
        failures.append(controls.misbehaviour(name, results[name]["ssim"]["mean"], mean_image_ssim))
    if bench.suite.gradient_inversion and bench.transform:
        attack = bench.suite.gradient_inversion.name
        for name in controls.CONTROLS:
            if name not in gradient_inversion.CONTROLS:
                continue
            transform = gradient_inversion.CONTROLS[name]
            subject, key = Subject(controls.CONTROLS[name].protect, bench), f"{attack}_{name}"
            results[key] = _invert_by_gradient(bench, f"control_{key}", transform, subject, control=True)
            ssim, floor = results[key]["ssim"]["mean"], results[key]["mean_image_ssim"]
            failures.append(controls.misbehaviour(name, ssim, floor, attack))
    if bench.suite.linear_map:
        attack = bench.suite.linear_map.name
        for name in _linear_map_controls(bench):
            subject, key = Subject(controls.CONTROLS[name].protect, bench), f"{attack}_{name}"
            results[key] = _fit_linear_map(bench, f"control_{key}", subject, control=True)
            failures.append(controls.misbehaviour(name, results[key]["ssim"]["mean"], mean_image_ssim, attack))
    return results, [failure for failure in failures if failure]


def _learn_from_others(bench, others):
    """Results by name of the suite's first architecture, which learns from the pictures of another `Dataset`."""
    attack = dataclasses.replace(bench.suite.attacks[0], loss="mse_ssim")
    plain = others.train.images[: attack.pairs]
    digest = hashlib.sha256(plain.tobytes()).hexdigest()
    about = {"attack": f"{attack.name}_other_pictures_{digest[:6]}", "pairs": len(plain), "pairs_sha256": digest}
    known = functools.cache(lambda: (bench.subject.protect(plain), plain))
    results = {}
    for seed in bench.seeds:
        name = f"{about['attack']}_seed{seed}"
        result = _train_inverse_network(bench, name, attack, bench.subject, seed, False, known, about)
        results[name] = result | {"pairs_from": others.name}
    return results


def _train_inverse_network(bench, name, attack, subject, seed, control, known=None, about=None):
    """It learns from the run's training images; or from pairs that `known()` gives and the specification is `about`."""
    of_the_run = {"attack": attack.name, "pairs": len(bench.dataset.train.labels[: attack.pairs])}
    specification = dataclasses.asdict(attack) | {"control": control, "seed": seed} | (about or of_the_run)
    losses = {}

    def restore():
        pairs = known() if known else subject.known
        restored, found = inverse_network.restore(
            attack, pairs, subject.protected, bench.probabilities, seed, bench.say
        )
        losses.update(found)
        return restored

    return bench.measure(name, specification, restore, subject, losses)


def _fit_linear_map(bench, name, subject, control):
    attack = bench.suite.linear_map
    halves = bool(not control and bench.encryption and encryption.SCHEMES[bench.encryption].splits_bytes)
    specification = dataclasses.asdict(attack) | {
        "attack": attack.name,
        "control": control,
        "seed": None,
        "pairs": len(bench.dataset.train.labels[: attack.pairs]),
        "halves": halves,
    }

    def restore():
        known = tuple(images[: attack.pairs] for images in subject.known)
        return linear_map.restore(known, subject.protected, halves, bench.say)

    return bench.measure(name, specification, restore, subject)


def _linear_map_controls(bench):
    """Names; what moves far can be asked for only where there are more pairs to learn from than values."""
    pairs = len(bench.dataset.train.labels[: bench.suite.linear_map.pairs])
    enough = pairs - fitting.held_out(pairs) > linear_map.symbols(bench.dataset.image_size, halves=False)
    return ("fixed_key_etc", "constant") if enough else ("constant",)


def _train_gan(bench, attack, seed):
    images = bench.dataset.train.images[: attack.images]
    half = len(images) // 2
    specification = dataclasses.asdict(attack) | {
        "attack": attack.name,
        "control": False,
        "seed": seed,
        "pairs": 0,
        "images": 2 * half,
    }

    def restore():
        subject = bench.subject
        protected = subject.protect(images[half : 2 * half])  # of other pictures than the plain ones
        return gan.restore(attack, protected, images[:half], subject.protected, seed, bench.say)

    return bench.measure(f"{attack.name}_seed{seed}", specification, restore)


def _invert_by_gradient(bench, name, transform, subject, control):
    """As it is deterministic there is one repetition. The result also has the floor of its sample of images."""
    attack, plain = bench.suite.gradient_inversion, bench.dataset.train.images
    count = len(bench.test.labels[: attack.images])
    mean_image = floors.mean_image(bench.dataset.train, count)
    floor = evaluation.visual_distance(mean_image, bench.test.images[:count])["ssim"]
    specification = dataclasses.asdict(attack) | {
        "attack": attack.name,
        "control": control,
        "seed": None,
        "pairs": len(plain[: attack.pairs]),
        "images": count,
    }

    def restore():
        known = subject.protect(plain[: attack.pairs]), plain[: attack.pairs]
        return gradient_inversion.restore(attack, transform, known, subject.protected[:count], bench.say)

    return bench.measure(name, specification, restore, subject) | {"mean_image_ssim": float(np.mean(floor))}


def _measure_linkage(bench):
    return bench.cached(
        "linkage", linkage.SPECIFICATION, lambda: linkage.linkage(bench.test.images, bench.subject.protect)
    )


def _measure_what_applies(bench, attribute):
    """The parts of results.json that need a keyed method, or an attribute."""
    parts = {}
    if bench.encryption:
        parts["brute_force"] = _try_all_keys(bench)
    if attribute:
        former = bench.run_dir.read_results().get("attribute_inference", {})
        parts["attribute_inference"] = former | {attribute: _infer(bench, attribute)}
    return parts


def _try_all_keys(bench):
    plain = bench.test.images[: brute_force.PICTURES]
    return bench.cached(
        "brute_force",
        brute_force.SPECIFICATION | {"n": len(plain), "seed": bench.seed},
        lambda: brute_force.brute_force(bench.encryption, plain, bench.seed, bench.say),
    )


def _infer(bench, attribute):
    values, training, seed = len(bench.dataset.attribute_values), bench.suite.judge, bench.seed
    splits = bench.dataset.train, bench.test

    def compute():
        return attribute_inference.attribute_inference(
            *splits, values, bench.subject.protect, training, seed, bench.say
        )

    specification = {
        "threat_model": T1.name,
        "attribute": attribute,
        "values": values,
        "sha256": hashlib.sha256(b"".join(split.attribute.tobytes() for split in splits)).hexdigest(),
        "seed": seed,
        "training": dataclasses.asdict(training),
    }
    return bench.cached(f"attribute_{attribute}", specification, compute)


def _measure_floors(bench):
    train, count, seed = bench.dataset.train, len(bench.test.labels), bench.seed
    training = bench.suite.attacks[0].training

    def label_only():
        protected, plain = bench.subject.known
        seen = bench.probabilities(bench.subject.protected)
        return floors.label_only((bench.probabilities(protected), plain), seen, training, seed, bench.say)

    specification = {"control": False, "seed": seed}
    trained = specification | {"training": dataclasses.asdict(training)}
    return {
        "mean_image": bench.measure("floor_mean_image", specification, lambda: floors.mean_image(train, count)),
        "random_image": bench.measure(
            "floor_random_image", specification, lambda: floors.random_image(train, count, seed)
        ),
        "label_only": bench.measure("floor_label_only", trained, label_only),
    }
