"""Attacks a protection by a suite: attacks, prior-only baselines, sanity checks and what else leaks. Knows no files."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import keras
import numpy as np

from i2p_tf import inference
from i2p_tf.attacks import prior_only, sanity_checks
from i2p_tf.attacks.bench import Bench
from i2p_tf.attacks.memory import NoMemory
from i2p_tf.attacks.outcome import Outcome
from i2p_tf.attacks.rows import ATTACKS
from i2p_tf.attacks.suite import OWN, Suite, find_suite
from i2p_tf.attacks.target import Target
from i2p_tf.data.arrays import split
from i2p_tf.data.dataset import Dataset, Split
from i2p_tf.environment import describe_environment
from i2p_tf.errors import InputError
from i2p_tf.hints import Protect, Say, Tensor, Values
from i2p_tf.tables import load


def attack(
    protect: Protect,
    classifier: Callable,
    train: Split,
    test: Split,
    suite: str | Suite = "quick",
    seed: int = 0,
    say: Say = print,
    *,
    transform: keras.Model | None = None,
) -> Outcome:
    """Attacks a protection, without a run directory.

    Args:
        protect: function of uint8 images `(n, size, size, 3)` to protected ones, uint8 of the same shape.
        classifier: ψ, a Keras model of RGB in [0, 1] to logits, or a function of uint8 images to logits,
            `(n, classes)`.
        train: what attackers learn from: a `Split`, or images, uint8 `(n, size, size, 3)`, and labels, integers `(n,)`,
            or a `tf.data.Dataset` of them, as `data.arrays.split`.
        test: what they are tried on, likewise.
        suite: a `Suite`, or a key of `SUITES`.
        seed: of the first repetition; the others count on from it.
        say: called with each line of progress.
        transform: `protect` as a function of images in [0, 1] that TensorFlow can differentiate, such as h_θ; without
            it gradient inversion is left out.

    Returns:
        An `Outcome`.

    Raises:
        InputError: if the images or labels are of another form, or the suite does not fit them.
        AttackError: if an attack can't be carried out.
    """
    name, suite = (suite, find_suite(suite)) if isinstance(suite, str) else (OWN, suite)
    train, test = _mixed(split("train", train)), _mixed(split("test", test)).take(slice(suite.test_images))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(f"`train` and `test` differ in size: {train.images.shape[1:]}, {test.images.shape[1:]}")
    suite.check(name, train.images.shape[1])
    logits = functools.partial(inference.logits, classifier) if isinstance(classifier, keras.Model) else classifier
    classes = np.shape(logits(test.images[:1]))[-1]
    highest = max(train.labels.max(), test.labels.max())
    if highest >= classes:
        raise InputError(f"the classifier knows {classes} classes, and there is a label {highest}")
    target = Target(_checked(protect), train, test, probabilities(logits), suite.most_pairs, transform)
    return carry_out(Bench(target, suite, classes, seed, say, NoMemory()), name)


def carry_out(bench: Bench, suite_name: str, others: Dataset | None = None) -> Outcome:
    """Runs the suite of a `Bench`.

    Args:
        bench: the `Bench`.
        suite_name: of its suite.
        others: a `Dataset` from whose training images one more attacker makes pairs; or None.

    Returns:
        An `Outcome`.
    """
    attacks = _attack_protection(bench)
    if others and bench.suite.learner:
        attacks |= _learn_from_others(bench, others)
    guesses = _measure_prior_only(bench)
    sanity_check_results, failures = _attack_sanity_checks(bench, guesses["mean_image"]["ssim"]["mean"])
    return Outcome(
        suite=suite_name,
        attacks=attacks,
        sanity_checks=sanity_check_results,
        failed_sanity_checks=failures,
        prior_only=guesses,
        parts=_read(bench),
        evaluation_classifier=bench.evaluation_classifier_accuracy(),
        networks=bench.target.networks,
        environment=describe_environment(),
    )


def probabilities(logits: Callable) -> Callable[[Tensor], np.ndarray]:
    """A function of uint8 images to ψ's probabilities, float32 `(n, classes)`, from one to logits."""
    return lambda images: np.asarray(keras.ops.softmax(logits(images)))


def _attack_protection(bench):
    """Results of the attacks that reconstruct pictures, by name."""
    results = {}
    for attack in bench.suite.everything:
        if ATTACKS[attack.kind].part or _left_out(bench, attack):
            continue
        for seed in bench.seeds if attack.seeded else (bench.seed,):
            name = f"{attack.name}_seed{seed}" if attack.seeded else attack.name
            results[name] = bench.carry_out(attack, bench.target, seed, name)
    return results


def _read(bench):
    """Results of the attacks that reconstruct no pictures, by part of results.json."""
    parts: Values = {}
    for attack in bench.suite.everything:
        row = ATTACKS[attack.kind]
        if not row.part or _left_out(bench, attack):
            continue
        result = bench.read(attack, bench.seed)
        if row.by_name:
            parts.setdefault(row.part, {})[attack.entry(bench.target)] = result
        else:
            parts[row.part] = result
    return parts


def _left_out(bench, attack):
    """Whether an attack can't be carried out, which is said where somebody may miss it."""
    reason = attack.left_out(bench.target)
    if reason:
        bench.say(f"{attack.name}: left out, as {reason}")
    return reason is not None


def _attack_sanity_checks(bench, mean_image_ssim):
    """Results by name of the sanity check, and what is wrong with them, in lines."""
    results, failures = {}, []
    for place, attack in enumerate(bench.suite.sanity_checks):
        if attack.left_out(bench.target) is not None:
            continue
        for name in ATTACKS[attack.kind].sanity_checks:
            if name not in sanity_checks.SANITY_CHECKS or not attack.fits_sanity_check(name, bench.target):
                continue
            sanity_check, said = sanity_checks.SANITY_CHECKS[name], attack.name if place else None
            key = f"{said}_{name}" if said else name
            target = bench.target.another(sanity_check.protect, transform=load(sanity_check.transform))
            result = bench.carry_out(attack, target, bench.seed, f"sanity_check_{key}", sanity_check=True)
            baseline = result.get("mean_image_ssim", mean_image_ssim)
            failures.append(sanity_checks.misbehaviour(name, result["ssim"]["mean"], baseline, said, attack.draws))
            results[key] = result
    return results, [failure for failure in failures if failure]


def _learn_from_others(bench, others):
    """Results by name of an attacker who learns from the pictures of another `Dataset`."""
    attack = bench.suite.learner
    train = others.train.take(slice(attack.pairs))
    digest = hashlib.sha256(train.images.tobytes()).hexdigest()
    kind = f"{attack.name}_other_pictures_{digest[:6]}"
    target = bench.target.another(bench.target.protect, train)
    target.networks = bench.target.networks
    results = {}
    for seed in bench.seeds:
        name = f"{kind}_seed{seed}"
        result = bench.carry_out(attack, target, seed, name, about={"attack": kind, "pairs_sha256": digest})
        results[name] = result | {"pairs_from": others.name}
    return results


def _measure_prior_only(bench):
    target, seed, training = bench.target, bench.seed, bench.suite.label_only
    train, count = target.train, len(target.test.labels)

    def label_only():
        protected, plain = target.known
        seen = _class_alone(target.probabilities(target.protected))
        known = _class_alone(target.probabilities(protected)), plain
        return prior_only.label_only(known, seen, training, seed, bench.say), {}

    def measure(name, guess, **trained):
        return bench.measure(f"prior_only_{name}", {"sanity_check": False, "seed": seed} | trained, guess)

    return {
        "mean_image": measure("mean_image", lambda: (prior_only.mean_image(train, count), {})),
        "random_image": measure("random_image", lambda: (prior_only.random_image(train, count, seed), {})),
        "label_only": measure("label_only", label_only, training=dataclasses.asdict(training)),
    }


def _class_alone(probabilities):
    """1 for the likeliest class and 0 for the others: how likely each is says more of a picture than its class."""
    return np.eye(probabilities.shape[1], dtype=np.float32)[probabilities.argmax(axis=1)]


def _mixed(images):
    """A `Split` in an order of chance, always the same: attackers take the first ones, which may be of one class."""
    return images.take(np.random.default_rng(0).permutation(len(images.labels)))


def _checked(protect):
    """`protect`, which has to give images of the kind that it gets."""

    def checked(images):
        protected = np.asarray(protect(images))
        if protected.dtype != np.uint8 or protected.shape != images.shape:
            raise InputError(
                f"`protect` must give uint8 {images.shape} for images of that shape. "
                f"Received: {protected.dtype} {protected.shape}"
            )
        return protected

    return checked
