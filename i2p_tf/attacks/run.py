"""Runs a suite against the networks of a run: attacks, floors and controls into results.json."""

import dataclasses
import functools
import hashlib
import json
import shutil
import time

import numpy as np

import i2p_tf
from i2p_tf import evaluation
from i2p_tf.attacks import controls, feature_reconstruction, floors, inverse_network
from i2p_tf.attacks.judge import train_judge
from i2p_tf.attacks.leakage import leakage
from i2p_tf.attacks.suite import SUITES
from i2p_tf.attacks.threat_models import T0, THREAT_MODELS
from i2p_tf.data.sources import Split
from i2p_tf.environment import describe_environment
from i2p_tf.errors import InputError
from i2p_tf.models import unet
from i2p_tf.run_dir import write_atomically, write_json

METRICS = ("ssim", "psnr", "accuracy_on_restored", "reidentification_top1", "reidentification_top5")
SAMPLES = 10


def run_suite(run_dir, dataset, name, seed, say, controls_from=None):
    """Attacks h_θ of a run and writes what came out into results.json; what is finished is not repeated.

    Args:
        run_dir: a `RunDir` with both networks, locked.
        dataset: its `data.sources.Dataset`. Attackers learn from its training images and are tried on its test
            images.
        name: a key of `SUITES`.
        seed: of the first repetition; the others count on from it.
        say: called with each line of progress.
        controls_from: a `RunDir` that has been attacked, or None. What does not depend on h_θ, the judge and the
            controls, is taken from there if it was made with the same images, suite and seed.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if a network is missing or can't be read, or the suite has networks that don't fit the images.
        AttackError: if an attack can't be carried out.
    """
    suite = SUITES[name]
    _check_image_size(name, dataset.image_size)
    run_dir.remove_left_overs()
    bench = Bench(run_dir, dataset, suite, seed, say, controls_from)
    attacks = _attack_transform(bench)
    floor_results = _measure_floors(bench)
    control_results = _attack_controls(bench)
    failures = list(
        filter(None, (_misbehaviour(key, result, floor_results) for key, result in control_results.items()))
    )
    results = run_dir.read_results() | {
        "schema": 1,
        "attacks": attacks | {f"control_{key}": result for key, result in control_results.items()},
        "floors": floor_results,
        "attack_suite": {
            "name": name,
            "valid": not failures,
            "failed_controls": failures,
            "strongest": strongest(attacks),
            "judge": bench.judge_accuracy(),
            "environment": describe_environment(),
        },
    }
    write_json(run_dir.results, results)
    return results


class Bench:
    """A run under attack: its networks, its data, the judge, and what has been measured already."""

    def __init__(self, run_dir, dataset, suite, seed, say, controls_from=None):
        self.run_dir, self.dataset, self.suite, self.seed, self.say = run_dir, dataset, suite, seed, say
        self.places = [run_dir, controls_from] if controls_from else [run_dir]  # where results may be
        self.classifier = evaluation.load_network(run_dir.classifier)
        self.test = Split(dataset.test.images[: suite.test_images], dataset.test.labels[: suite.test_images])
        # Whatever changes a result; the files' names do not.
        self.setting = {
            "i2p_tf": i2p_tf.__version__,
            "images": _digest_of_arrays(dataset.train, self.test),
            "judge": dataclasses.asdict(suite.judge) | {"seed": seed},
        }
        config = run_dir.load_config()
        networks = {
            "transform": _digest(run_dir.encryption_key if config.encryption else run_dir.transform),
            "classifier": _digest(run_dir.classifier),
        }
        self.subject = Subject(evaluation.load_protection(run_dir, config, dataset.image_size), self, networks)

    @functools.cached_property
    def judge(self):
        """The independent classifier, trained once."""
        asked = {"setting": self.setting}
        path = self.run_dir.attack("judge") / "judge.keras"
        if not self._finished("judge", asked, path.name):
            self.say("judge: training a classifier that reads restored images")
            judge = train_judge(self.dataset, self.suite.judge, self.seed, self.say)
            with write_atomically(path) as temporary:
                judge.save(temporary)
            self.run_dir.write_attack("judge", asked)
        return evaluation.load_network(path)

    def judge_accuracy(self):
        """What the judge reads on plain and on protected test images."""
        accuracy = {
            kind: float(np.mean(evaluation.classify(self.judge, images) == self.test.labels))
            for kind, images in (("plain", self.test.images), ("protected", self.subject.protected))
        }
        return accuracy | {"n": len(self.test.labels)}

    def measure(self, name, specification, restore, subject=None):
        """One result of results.json, from an earlier command if that has finished it in the same setting.

        Args:
            name: of the folder in attacks/.
            specification: what is to be in the result besides what is measured, as JSON.
            restore: function without arguments to uint8 guesses of the test images.
            subject: the `Subject` whose protected images samples.png shows; h_θ's if not given.
        """
        subject = subject or self.subject
        asked = json.loads(json.dumps({"setting": self.setting | subject.networks, "specification": specification}))
        if former := self._finished(name, asked, "samples.png"):
            self.say(f"{name}: done earlier")
            return former["result"]
        self.say(name)
        started = time.monotonic()
        restored = restore()
        seconds = round(time.monotonic() - started, 1)
        measured, ssim = leakage(restored, self.test, self.judge)
        samples = np.argsort(ssim)[np.linspace(0, len(ssim) - 1, min(SAMPLES, len(ssim))).round().astype(int)]
        with write_atomically(self.run_dir.attack(name) / "samples.png") as temporary:
            rows = (self.test.images, subject.protected, restored)
            evaluation.save_samples(temporary, *(row[samples] for row in rows))
        result = specification | measured | {"seconds": seconds}
        self.run_dir.write_attack(name, asked | {"result": result})
        return result

    def _finished(self, name, asked, file):
        """What an earlier command has written about the same, of which `file` is a part; empty if there is nothing."""
        for place in self.places:
            former, source = place.read_attack(name), place.attack(name) / file
            if {key: former.get(key) for key in asked} == asked and source.is_file():
                if place is not self.run_dir:
                    with write_atomically(self.run_dir.attack(name) / file) as temporary:
                        shutil.copyfile(source, temporary)
                    self.run_dir.write_attack(name, former)
                return former
        return {}


class Subject:
    """A protection, and what it makes of the data; computed when it is first needed.

    `networks` are the digests of the run's own networks, where its results depend on them.
    """

    def __init__(self, protect, bench, networks=None):
        self.protect, self.dataset, self.test, self.networks = protect, bench.dataset, bench.test, networks or {}
        pairs = [attack.pairs for attack in (*bench.suite.attacks, bench.suite.control)]
        self.most_pairs = None if None in pairs else max(pairs)

    @functools.cached_property
    def known(self):
        """Pairs of protected and plain training images."""
        plain = self.dataset.train.images[: self.most_pairs]
        return self.protect(plain), plain

    @functools.cached_property
    def protected(self):
        """The protected test images."""
        return self.protect(self.test.images)


def strongest(attacks):
    """By metric: which attack got most out of the images, how much, and its range over seeds.

    Args:
        attacks: dictionary of names to results as in results.json, without controls.
    """
    return {metric: _strongest(attacks, metric) for metric in METRICS}


def table(results):
    """The results of a suite as lines for a terminal."""
    suite, attacks = results["attack_suite"], results["attacks"]
    rows = [("", "SSIM", "p95", "PSNR", "class", "top-1", "top-5", "threat", "seconds")]
    rows += [_row(name, result) for name, result in attacks.items() if not result["control"]]
    rows += [_row(f"floor: {name}", result) for name, result in results["floors"].items()]
    rows += [_row(name, result) for name, result in attacks.items() if result["control"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    judge = suite["judge"]
    lines += [
        "",
        f"n = {judge['n']} test images; by chance top-1 is {1 / judge['n']:.4f}; class: accuracy of an independent "
        f"classifier, which has {judge['plain']:.4f} on plain and {judge['protected']:.4f} on protected images",
    ]
    for threat_model in sorted({result["threat_model"] for result in attacks.values()}):
        lines.append(f"{threat_model}: the attacker holds {THREAT_MODELS[threat_model].holds}")
    for metric, best in suite["strongest"].items():
        lines.append(f"strongest by {metric}: {best['value']:.4f}, {best['attack']}")
    return "\n".join(lines)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_of_arrays(*splits):
    digest = hashlib.sha256()
    for split in splits:
        digest.update(np.ascontiguousarray(split.images))
        digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()


def _check_image_size(name, image_size):
    for attack in (*SUITES[name].attacks, SUITES[name].control):
        kind, _, size = attack.architecture.partition("_")
        try:
            if kind == "unet":
                unet.check_image_size(size, image_size)
        except ValueError as error:
            raise InputError(f"the suite {name!r} does not fit these images: {error}") from error


def _attack_transform(bench):
    """h_θ under every attack of the suite."""
    untrained = {"control": False, "threat_model": T0.name, "pairs": 0, "seed": None}
    subject = bench.subject
    attacks = {
        "as_is": bench.measure("as_is", untrained, lambda: subject.protected),
        "feature_reconstruction": bench.measure(
            "feature_reconstruction", untrained, lambda: feature_reconstruction.restore(subject.protected)
        ),
    }
    for attack in bench.suite.attacks:
        for seed in range(bench.seed, bench.seed + bench.suite.repetitions):
            name = f"{attack.name}_seed{seed}"
            attacks[name] = _train_inverse_network(bench, name, attack, subject, seed, control=False)
    return attacks


def _attack_controls(bench):
    attack, results = bench.suite.control, {}
    for name, control in controls.CONTROLS.items():
        subject = Subject(control.protect, bench)
        results[name] = _train_inverse_network(bench, f"control_{name}", attack, subject, bench.seed, control=True)
    return results


def _train_inverse_network(bench, name, attack, subject, seed, control):
    count = len(bench.dataset.train.labels[: attack.pairs])
    specification = dataclasses.asdict(attack) | {
        "attack": attack.name,
        "control": control,
        "seed": seed,
        "pairs": count,
    }

    def restore():
        return inverse_network.restore(attack, subject.known, subject.protected, seed, bench.say)

    return bench.measure(name, specification, restore, subject)


def _measure_floors(bench):
    train, count, seed = bench.dataset.train, len(bench.test.labels), bench.seed
    training = bench.suite.control.training

    def label_only():
        probabilities = functools.partial(floors.probabilities, bench.classifier)
        protected, plain = bench.subject.known
        seen = probabilities(bench.subject.protected)
        return floors.label_only((probabilities(protected), plain), seen, training, seed, bench.say)

    specification = {"control": False, "seed": seed}
    trained = specification | {"training": dataclasses.asdict(training)}
    return {
        "mean_image": bench.measure("floor_mean_image", specification, lambda: floors.mean_image(train, count)),
        "random_image": bench.measure(
            "floor_random_image", specification, lambda: floors.random_image(train, count, seed)
        ),
        "label_only": bench.measure("floor_label_only", trained, label_only),
    }


def _misbehaviour(name, result, floor_results):
    return controls.misbehaviour(name, result["ssim"]["mean"], floor_results["mean_image"]["ssim"]["mean"])


def _strongest(attacks, metric):
    values = {name: _value(result, metric) for name, result in attacks.items()}
    best = max(values, key=values.get)
    kind = attacks[best].get("attack", best)
    repetitions = [values[name] for name, result in attacks.items() if result.get("attack", name) == kind]
    return {"attack": best, "value": values[best], "range": [min(repetitions), max(repetitions)]}


def _value(result, metric):
    return result[metric]["mean"] if isinstance(result[metric], dict) else result[metric]


def _row(name, result):
    numbers = (result["ssim"]["mean"], result["ssim"]["p95"], result["psnr"]["mean"])
    shares = (result[metric] for metric in METRICS[2:])
    formatted = [f"{number:.3f}" for number in numbers] + [f"{share:.4f}" for share in shares]
    return (name, *formatted, result.get("threat_model", ""), f"{result['seconds']:.0f}")
