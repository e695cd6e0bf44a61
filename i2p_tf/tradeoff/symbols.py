"""Attackers that see the symbols of a code: what each restores, finds or links at every number of bits."""

import functools

import keras
import numpy as np

from i2p_tf import inference
from i2p_tf.attacks import prior_only
from i2p_tf.attacks.kinds.linkage import altered
from i2p_tf.attacks.leakage import reidentification_ranks, share_found
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import Linkage
from i2p_tf.data.dataset import Split
from i2p_tf.objectives.adversarial import class_means
from i2p_tf.tradeoff import decoders
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.codes import codes, elements_of

NEAREST = "nearest_neighbour"
SEARCHED = 2_000  # test images of re-identification and linkage, which are the gallery as well
_QUERIES = 200


class Symbols:
    """Attackers on the codes of one h_θ.

    Args:
        bench: a `bench.Bench`.
        transform: h_θ, that of the run or another one.
        prefix: of the names under which results are kept.
    """

    def __init__(self, bench: Bench, transform: keras.Model, prefix: str = "") -> None:
        self.bench, self.transform, self.prefix = bench, transform, prefix
        self.dataset = bench.dataset
        self.known = known_images(bench)
        self._codes: dict[str, np.ndarray] = {}

    def attack(self, bits: int) -> dict[str, dict]:
        """What each attacker gets from `bits` bits: `ssim`, `psnr` and `reidentification_top1`, by its name."""
        results = {name: self._kept(f"{name}_{bits}", lambda name=name: self._decoded(name, bits)) for name in DECODED}
        results[NEAREST] = self._kept(f"{NEAREST}_{bits}", lambda: self._nearest(bits))
        return results

    def linkage(self, bits: int) -> dict:
        """Share of pictures whose code is found among those of slightly altered views of all, `top1`, and `n`."""
        return self._kept(f"linkage_{bits}", lambda: self._linked(bits))

    def codes_of(self, name: str) -> np.ndarray:
        """The codes of the images that the attackers `known`, of the `test` images, or of an `altered` view of some."""
        if name not in self._codes:
            self._codes[name] = codes(self.transform, self._images(name))
        return self._codes[name]

    def _images(self, name):
        if name == "known":
            return self.known
        test = self.dataset.test.images
        return altered(test[:SEARCHED], Linkage.shift, Linkage.brighter) if name == "altered" else test

    def _kept(self, name, compute):
        return self.bench.memory.result(self.prefix + name, {}, {}, compute)

    def _decoded(self, name, bits):
        network = self.bench.memory.network(self.prefix + name, lambda: self._trained(name))
        return measured(decoders.restored(network, self.codes_of("test"), bits), self.dataset.test)

    def _trained(self, name):
        bench = self.bench
        bench.progress.say(f"{self.prefix}{name}: {bench.steps} steps on {len(self.known)} codes")
        return decoders.trained(
            name, self.codes_of("known"), self.known, bench.recipe, bench.steps, bench.seed, bench.progress.say
        )

    def _nearest(self, bits):
        """The guess is the training picture whose code is nearest."""
        count = elements_of(bits)
        queries, gallery = (self.codes_of(name)[:, :count] for name in ("test", "known"))
        nearest = [distances.argmin(axis=1) for distances in _distances(queries, gallery)]
        return measured(self.known[np.concatenate(nearest)], self.dataset.test)

    def _linked(self, bits):
        count = elements_of(bits)
        first, second = self.codes_of("test")[:SEARCHED, :count], self.codes_of("altered")[:, :count]
        better, tied, start = [], [], 0
        for distances in _distances(first, second):
            own = distances[np.arange(len(distances)), start + np.arange(len(distances)), np.newaxis]
            better.append(np.sum(distances < own, axis=1))
            tied.append(np.sum(distances == own, axis=1))
            start += len(distances)
        ranks = np.concatenate(better), np.concatenate(tied)
        return {"top1": share_found(ranks, 1), "chance": 1 / len(first), "n": len(first)}


DECODED = tuple(decoders.DECODERS)


def known_images(bench: Bench) -> np.ndarray:
    """What attackers learn from, uint8: the training images and, where h_θ has seen these, their mirror images.

    In a random order, as the last ones validate.
    """
    images = bench.dataset.train.images
    if bench.config.augmentation == "flip_crop":
        images = np.concatenate([images, images[:, :, ::-1]])
    return images[np.random.default_rng(bench.seed).permutation(len(images))]


def class_alone(bench: Bench) -> dict:
    """What the class alone gives: the better of the mean picture of the class and of `prior_only.label_only`.

    The class is the right one, for nothing of the picture stands behind it.

    Returns:
        A dictionary of `measured` values.
    """
    guesses = {"class_mean": _class_mean, "label_only": _label_only}
    results = [
        bench.memory.result(name, {}, {}, functools.partial(_measured_guess, bench, guess))
        for name, guess in guesses.items()
    ]
    return max(results, key=lambda result: result["ssim"])


def measured(guesses: np.ndarray, test: Split) -> dict:
    """Mean SSIM and PSNR of guesses of all test images, and the top-1 re-identification of the first `SEARCHED`."""
    distances = inference.visual_distance(guesses, test.images)
    ranks = reidentification_ranks(guesses[:SEARCHED], test.images[:SEARCHED])
    means = {name: float(np.mean(values)) for name, values in distances.items()}
    return means | {"reidentification_top1": share_found(ranks, 1), "n": len(guesses)}


def _measured_guess(bench, guess):
    return measured(guess(bench), bench.dataset.test)


def _class_mean(bench):
    means = class_means(bench.dataset.train, bench.dataset.num_classes)
    return inference.to_uint8(means)[bench.dataset.test.labels]


def _label_only(bench):
    train, test = bench.dataset.train, bench.dataset.test
    classes = np.eye(bench.dataset.num_classes, dtype=np.float32)
    shuffled = np.random.default_rng(bench.seed).permutation(len(train.labels))
    known = classes[train.labels[shuffled]], train.images[shuffled]
    training = Training(bench.steps, bench.recipe.batch_size, decoders.LEARNING_RATE)
    bench.progress.say(f"label_only: {bench.steps} steps")
    return prior_only.label_only(known, classes[test.labels], training, bench.seed, bench.progress.say)


def _distances(queries, gallery):
    """Yields squared distances of codes, `(some queries, gallery)`, whole numbers."""
    gallery = np.float32(gallery)
    squares = np.sum(gallery**2, axis=1)
    for start in range(0, len(queries), _QUERIES):
        some = np.float32(queries[start : start + _QUERIES])
        yield np.sum(some**2, axis=1, keepdims=True) + squares - 2.0 * (some @ gallery.T)
