"""Where attacks are tried: what they share, and what is measured of each."""

import functools
import time
from collections.abc import Callable

import numpy as np

from i2p_tf import inference, picture_grid
from i2p_tf.attacks import prior_only
from i2p_tf.attacks.evaluation_classifier import train_classifier
from i2p_tf.attacks.leakage import leakage
from i2p_tf.attacks.memory import NoMemory, RunMemory
from i2p_tf.attacks.rows import ATTACKS
from i2p_tf.attacks.specification import Specification
from i2p_tf.attacks.suite import Suite
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Network, Say, Values
from i2p_tf.tables import load


class Bench:
    """Carries out attacks and measures them.

    Args:
        target: the `Target` that is attacked.
        suite: a `Suite`.
        classes: how many there are.
        seed: of the evaluation classifier and of the first repetition.
        say: called with each line of progress.
        memory: a `NoMemory` or `RunMemory`.
    """

    def __init__(self, target: Target, suite: Suite, classes: int, seed: int, say: Say, memory: NoMemory | RunMemory):
        self.target, self.suite, self.classes = target, suite, classes
        self.seed, self.say, self.memory = seed, say, memory
        self.test = target.test

    @property
    def seeds(self) -> range:
        """Of the repetitions."""
        return range(self.seed, self.seed + self.suite.repetitions)

    @functools.cached_property
    def evaluation_classifier(self) -> Network:
        """The evaluation classifier, trained once."""

        def train():
            self.say("evaluation classifier: training a classifier that reads reconstructed images")
            known = self.target.train
            return train_classifier(
                known.images, known.labels, self.classes, self.suite.evaluation_classifier, self.seed, self.say
            )

        return self.memory.network("evaluation_classifier", train)

    def evaluation_classifier_accuracy(self) -> Values:
        """What the evaluation classifier reads on plain and on protected test images."""
        accuracy = {
            kind: float(np.mean(inference.classify(self.evaluation_classifier, images) == self.test.labels))
            for kind, images in (("plain", self.test.images), ("protected", self.target.protected))
        }
        return accuracy | {"n": len(self.test.labels)}

    def carry_out(
        self,
        attack: Specification,
        target: Target,
        seed: int,
        name: str,
        sanity_check: bool = False,
        about: Values | None = None,
    ) -> Values:
        """The result of an attack that reconstructs pictures.

        Args:
            attack: a `Specification`.
            target: the `Target`.
            seed: of an attack that is trained; what needs none is recorded without.
            name: of the folder of its result.
            sanity check: whether the target is a sanity check.
            about: what the result says besides what the specification does, as JSON.
        """
        recorded = {"sanity_check": sanity_check, "seed": seed if attack.seeded else None}
        specification = attack.about(target) | recorded | (about or {})
        code = load(ATTACKS[attack.kind].code)
        result = self.measure(name, specification, lambda: code(attack, target, seed, self.say), target)
        if attack.sample is None:
            return result
        baseline = prior_only.mean_image(target.train, result["n"])
        ssim = inference.visual_distance(baseline, self.test.images[: result["n"]])["ssim"]
        return result | {"mean_image_ssim": float(np.mean(ssim))}

    def read(self, attack: Specification, seed: int) -> Values:
        """The result of an attack that reconstructs no pictures."""
        target, name = self.target, attack.result_name(self.target)
        specification = attack.about(target) | ({"seed": seed} if attack.seeded else {})

        def compute():
            self.say(name)
            return specification | load(ATTACKS[attack.kind].code)(attack, target, seed, self.say)

        return self.memory.result(name, specification, target.networks, compute)

    def measure(self, name: str, specification: Values, reconstruct: Callable, target: Target | None = None) -> Values:
        """What guesses of the test images give away, as results.json has it.

        Args:
            name: of the folder of the result.
            specification: what the result says besides what is measured, as JSON.
            reconstruct: function without arguments to uint8 guesses and what else is to be in the result.
            target: the `Target` whose protected images samples.png shows; the bench's if not given.
        """
        target = target or self.target

        def compute():
            self.say(name)
            started = time.monotonic()
            reconstructed, more = reconstruct()
            seconds = round(time.monotonic() - started, 1)
            measured, ssim = leakage(reconstructed, self.test, self.evaluation_classifier)
            shown = np.linspace(0, len(ssim) - 1, min(picture_grid.SAMPLES, len(ssim))).round().astype(int)
            chosen = np.argsort(ssim)[shown]  # from the worst reconstructed to the best
            rows = (self.test.images, target.protected, reconstructed)
            self.memory.save_samples(name, *(images[chosen] for images in rows))
            return specification | measured | {"seconds": seconds} | more

        return self.memory.result(name, specification, target.networks, compute)
