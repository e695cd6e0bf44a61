"""A run under attack: what the attacks share, and a memory of what has been measured already."""

import dataclasses
import functools
import hashlib
import json
import shutil
import time

import numpy as np

import i2p_tf
from i2p_tf import inference, picture_grid
from i2p_tf.attacks import floors
from i2p_tf.attacks.judge import train_judge
from i2p_tf.attacks.leakage import leakage
from i2p_tf.files import write_atomically
from i2p_tf.run_dir import RESULT

SAMPLES = 10


class Bench:
    """A run under attack: its networks, its data, the judge, and what has been measured already."""

    def __init__(self, run_dir, dataset, suite_name, suite, seed, say, controls_from=None):
        self.run_dir, self.dataset, self.suite, self.seed, self.say = run_dir, dataset, suite, seed, say
        self.suite_name = suite_name
        self.places = [run_dir, controls_from] if controls_from else [run_dir]  # where results may be
        self.classifier = inference.load_classifier(run_dir.classifier, dataset.num_classes)
        self.test = dataset.test.take(slice(suite.test_images))
        # Whatever changes a result; the files' names do not.
        self.setting = {
            "i2p_tf": i2p_tf.__version__,
            "images": _digest_of_arrays(dataset.train, self.test),
            "judge": dataclasses.asdict(suite.judge) | {"seed": seed},
        }
        config = run_dir.load_config()
        protect = inference.load_protection(run_dir, config, dataset.image_size)
        self.subject = Subject(protect, self, run_dir.network_digests())

    @functools.cached_property
    def transform(self):
        """h_θ, for attackers who differentiate it; None where a keyed method protects."""
        return None if self.encryption else inference.load_network(self.run_dir.transform)

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
        asked, path = {"setting": self.setting}, self._folder("judge") / "judge.keras"
        if not self._finished("judge", asked):
            self.say("judge: training a classifier that reads restored images")
            judge = train_judge(self.dataset, self.suite.judge, self.seed, self.say)
            with write_atomically(path) as temporary:
                judge.save(temporary)
            self.run_dir.write_attack(self.suite_name, "judge", asked)
        return inference.load_network(path)

    def probabilities(self, images):
        """What ψ gives the classes of uint8 images: float32 `(n, classes)`."""
        return floors.probabilities(self.classifier, images)

    def judge_accuracy(self):
        """What the judge reads on plain and on protected test images."""
        accuracy = {
            kind: float(np.mean(inference.classify(self.judge, images) == self.test.labels))
            for kind, images in (("plain", self.test.images), ("protected", self.subject.protected))
        }
        return accuracy | {"n": len(self.test.labels)}

    def measure(self, name, specification, restore, subject=None, losses=None):
        """One result of results.json, from an earlier command if that has finished it in the same setting.

        Args:
            name: of the folder in attacks/<suite>/.
            specification: what is to be in the result besides what is measured, as JSON.
            restore: function without arguments to uint8 guesses of the test images.
            subject: the `Subject` whose protected images samples.png shows; h_θ's if not given.
            losses: dictionary that `restore` fills with those of its training, which become part of the result.
        """

        def compute():
            started = time.monotonic()
            restored = restore()
            seconds = round(time.monotonic() - started, 1)
            measured, ssim = leakage(restored, self.test, self.judge)
            self._save_samples(name, subject.protected, restored, ssim)
            return measured | {"seconds": seconds} | ({"losses": losses} if losses else {})

        subject = subject or self.subject
        return self.cached(name, specification, compute, subject)

    def cached(self, name, specification, compute, subject=None):
        """`specification` and the dictionary that `compute` returns, from an earlier command as in `measure`."""
        setting = self.setting | (subject or self.subject).networks
        asked = json.loads(json.dumps({"setting": setting, "specification": specification}))
        if former := self._finished(name, asked):
            return former["result"]
        self.say(name)
        result = specification | compute()
        self.run_dir.write_attack(self.suite_name, name, asked | {"result": result})
        return result

    def _finished(self, name, asked):
        """What an earlier command has written about the same; empty if there is nothing."""
        for place in self.places:
            former = place.read_attack(self.suite_name, name)
            if {key: former.get(key) for key in asked} == asked:
                if place is not self.run_dir:
                    self.say(f"{name}: taken from {place.path}")
                    self._copy(place.attack(self.suite_name, name), name)
                    self.run_dir.write_attack(self.suite_name, name, former)
                else:
                    self.say(f"{name}: done earlier")
                return former
        return {}

    def _copy(self, folder, name):
        """Copies the files of an attack of another run, except its result, which is written last."""
        for source in folder.iterdir():
            if source.name != RESULT:
                with write_atomically(self._folder(name) / source.name) as temporary:
                    shutil.copyfile(source, temporary)

    def _folder(self, name):
        return self.run_dir.attack(self.suite_name, name)

    def _save_samples(self, name, protected, restored, ssim):
        """Writes samples.png: plain, protected and restored images, from the worst restored to the best."""
        chosen = np.argsort(ssim)[np.linspace(0, len(ssim) - 1, min(SAMPLES, len(ssim))).round().astype(int)]
        with write_atomically(self._folder(name) / "samples.png") as temporary:
            picture_grid.save(temporary, *(row[chosen] for row in (self.test.images, protected, restored)))


class Subject:
    """A protection, and what it makes of the data; computed when it is first needed.

    `networks` are the digests of the run's own networks, where its results depend on them.
    """

    def __init__(self, protect, bench, networks=None):
        self.protect, self.dataset, self.test, self.networks = protect, bench.dataset, bench.test, networks or {}
        suite = bench.suite
        pairs = [attack.pairs for attack in (*suite.attacks, suite.control, suite.linear_map) if attack]
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


def _digest_of_arrays(*splits):
    digest = hashlib.sha256()
    for split in splits:
        digest.update(np.ascontiguousarray(split.images))
        digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
