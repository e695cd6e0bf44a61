"""A run under attack: what the attacks share, and a memory of what has been measured already."""

import dataclasses
import functools
import hashlib
import json
import time

import numpy as np

import i2p_tf
from i2p_tf import evaluation
from i2p_tf.attacks.judge import train_judge
from i2p_tf.attacks.leakage import leakage
from i2p_tf.run_dir import write_atomically

SAMPLES = 10


class Bench:
    """A run under attack: its networks, its data, the judge, and what has been measured already."""

    def __init__(self, run_dir, dataset, suite, seed, say):
        self.run_dir, self.dataset, self.suite, self.seed, self.say = run_dir, dataset, suite, seed, say
        self.classifier = evaluation.load_network(run_dir.classifier)
        self.test = dataset.test.take(slice(suite.test_images))
        config = run_dir.load_config()
        self.subject = Subject(evaluation.load_protection(run_dir, config, dataset.image_size), self)
        # Whatever changes a result; the files' names do not.
        self.setting = {
            "i2p_tf": i2p_tf.__version__,
            "transform": _digest(run_dir.encryption_key if config.encryption else run_dir.transform),
            "classifier": _digest(run_dir.classifier),
            "images": _digest_of_arrays(dataset.train, self.test),
            "judge": dataclasses.asdict(suite.judge) | {"seed": seed},
        }

    @functools.cached_property
    def transform(self):
        """h_θ, for attackers who differentiate it; None where a keyed method protects."""
        return None if self.encryption else evaluation.load_network(self.run_dir.transform)

    @property
    def encryption(self):
        """The keyed method that protects, a key of `encryption.SCHEMES`; None for h_θ."""
        return self.run_dir.load_config().encryption

    @property
    def seeds(self):
        """Of the repetitions."""
        return range(self.seed, self.seed + self.suite.repetitions)

    @functools.cached_property
    def judge(self):
        """The independent classifier, trained once."""
        path = self.run_dir.attack("judge") / "judge.keras"
        if self.run_dir.read_attack("judge").get("setting") == self.setting and path.is_file():
            return evaluation.load_network(path)
        self.say("judge: training a classifier that reads restored images")
        judge = train_judge(self.dataset, self.suite.judge, self.seed, self.say)
        with write_atomically(path) as temporary:
            judge.save(temporary)
        self.run_dir.write_attack("judge", {"setting": self.setting})
        return judge

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

        def compute():
            started = time.monotonic()
            restored = restore()
            seconds = round(time.monotonic() - started, 1)
            measured, ssim = leakage(restored, self.test, self.judge)
            self._save_samples(name, (subject or self.subject).protected, restored, ssim)
            return measured | {"seconds": seconds}

        return self.cached(name, specification, compute)

    def cached(self, name, specification, compute):
        """`specification` and the dictionary that `compute` returns, from an earlier command as in `measure`."""
        former = self.run_dir.read_attack(name)
        asked = json.loads(json.dumps({"setting": self.setting, "specification": specification}))
        if {key: former.get(key) for key in asked} == asked:
            self.say(f"{name}: done earlier")
            return former["result"]
        self.say(name)
        result = specification | compute()
        self.run_dir.write_attack(name, asked | {"result": result})
        return result

    def _save_samples(self, name, protected, restored, ssim):
        """Writes samples.png: plain, protected and restored images, from the worst restored to the best."""
        chosen = np.argsort(ssim)[np.linspace(0, len(ssim) - 1, min(SAMPLES, len(ssim))).round().astype(int)]
        with write_atomically(self.run_dir.attack(name) / "samples.png") as temporary:
            evaluation.save_samples(temporary, *(row[chosen] for row in (self.test.images, protected, restored)))


class Subject:
    """A protection, and what it makes of the data; computed when it is first needed."""

    def __init__(self, protect, bench):
        self.protect, self.dataset, self.test = protect, bench.dataset, bench.test
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


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_of_arrays(*splits):
    digest = hashlib.sha256()
    for split in splits:
        digest.update(np.ascontiguousarray(split.images))
        digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
