"""Attacks a run by a suite, into its results.json; what is finished is not repeated."""

import dataclasses
import functools

import keras
import numpy as np

from i2p_tf import drawing, inference
from i2p_tf.attacks import memory
from i2p_tf.attacks.attack import carry_out, probabilities
from i2p_tf.attacks.bench import Bench
from i2p_tf.attacks.rows import ATTACKS
from i2p_tf.attacks.suite import Suite, find_suite
from i2p_tf.attacks.target import Target
from i2p_tf.data.dataset import Dataset
from i2p_tf.files import write_json
from i2p_tf.hints import Say, Values
from i2p_tf.results import SCHEMA
from i2p_tf.run_dir import RunDir


def run_suite(
    run_dir: RunDir,
    dataset: Dataset,
    name: str,
    seed: int,
    say: Say,
    repetitions: int | None = None,
    attribute: str | None = None,
    sanity_checks_from: RunDir | None = None,
    others: Dataset | None = None,
) -> Values:
    """Attacks what protects the pictures of a run, into results.json; what is finished is not repeated.

    Args:
        run_dir: a `RunDir` with all that protects and classifies, locked.
        dataset: its `data.dataset.Dataset`. Attackers learn from its training images, but for that of `others`, and are
            tried on its test images.
        name: a key of `SUITES`.
        seed: of the first repetition; the others count on from it.
        say: called with each line of progress.
        repetitions: with how many seeds each attack is run that is trained; the suite's number if not given.
        attribute: the name of the attribute that `dataset` has been loaded with; None for none.
        sanity_checks_from: a `RunDir` that has been attacked, or None. What does not depend on h_θ, the evaluation
            classifier and the sanity checks, is taken from there if it was made with the same images, suite and seed.
        others: another `Dataset` of the same image size, from whose training images an attacker makes pairs; or None.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if a network is missing or can't be read, or the suite has networks that don't fit the images.
        AttackError: if an attack can't be carried out.
    """
    former, suite = run_dir.read_results(), find_suite(name)
    suite = dataclasses.replace(suite, repetitions=repetitions or suite.repetitions)
    suite.check(name, dataset.image_size)
    run_dir.remove_left_overs()
    bench = bench_of(run_dir, dataset, name, suite, seed, say, attribute, sanity_checks_from)
    results = former | {"schema": SCHEMA} | _beside(former, carry_out(bench, name, others).results())
    write_json(run_dir.results, results)
    return results


def bench_of(
    run_dir: RunDir,
    dataset: Dataset,
    name: str,
    suite: Suite,
    seed: int,
    say: Say,
    attribute: str | None = None,
    sanity_checks_from: RunDir | None = None,
) -> Bench:
    """The `Bench` of a run: its networks, its data, and a memory in its folder. Arguments as of `run_suite`."""
    config = run_dir.load_config()
    classifier = inference.load_reading_classifier(run_dir, dataset.num_classes)
    test = dataset.test.take(slice(suite.test_images))
    setting = memory.setting(dataset.train, test, dataclasses.asdict(suite.evaluation_classifier), seed)
    target = Target(
        inference.load_protection(run_dir, config, dataset.image_size),
        dataset.train,
        test,
        probabilities(functools.partial(inference.logits, classifier)),
        suite.most_pairs,
        transform=None if config.encryption else _differentiable(run_dir, config, dataset.image_size),
        encryption=config.encryption,
        attribute=attribute,
        attribute_values=len(dataset.attribute_values),
        networks=run_dir.network_digests(),
    )
    kept = memory.RunMemory(run_dir, name, setting, say, sanity_checks_from)
    return Bench(target, suite, dataset.num_classes, seed, say, kept)


def _differentiable(run_dir, config, image_size):
    """What `inference.load_protection` does, as a function of images in [0, 1] that can be differentiated."""
    transform = functools.partial(inference.load_network(run_dir.transform), training=False)
    if not config.has_reader:
        return transform
    whole = drawing.draw(np.zeros((1, drawing.ELEMENTS), int), image_size)
    is_cut = drawing.cut(whole, config.bits) == drawing.NOT_SENT
    return lambda images: keras.ops.where(is_cut, drawing.NOT_SENT / 255.0, transform(images))


def _beside(former, results):
    """New results, with former ones of the same part where that has several by name."""
    parts = [row.part for row in ATTACKS.values() if row.by_name and row.part in results]
    return results | {part: former.get(part, {}) | results[part] for part in parts}
