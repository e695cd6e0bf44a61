"""results.json: the only place that knows its form.

What bin/evaluate and bin/attack measure is written by parts, each a `TypedDict` here. `results_check` checks a file
against them when it is read for a report; what another version has besides is left as it is.
"""

import pathlib
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from i2p_tf.errors import InputError
from i2p_tf.files import read_json
from i2p_tf.former_results import translated
from i2p_tf.forms import Count
from i2p_tf.hints import Values

SCHEMA = 2  # of this version; files before the first had no number
OF_ATTACKS = ("attacks", "prior_only", "linkage", "brute_force", "attribute_inference", "attack_suite")
METRICS = ("ssim", "psnr", "accuracy_on_reconstructed", "reidentification_top1", "reidentification_top5")

KINDS = ("plain", "protected")


class Summary(typing.TypedDict):
    """Of values of images, as `summary` makes it."""

    mean: float
    median: float
    p95: float
    max: float


class Accuracy(typing.TypedDict):
    """Of ψ, in [0, 1]."""

    plain: typing.NotRequired[float | None]
    protected: float
    n: Count


class AtChance(typing.TypedDict):
    """Whether ψ classifies no better than chance, `chance.is_at_chance`; `chance` is one in the number of classes.

    A keyed method's ψ has not learned to classify plain images.
    """

    plain: typing.NotRequired[bool]
    protected: bool
    chance: float


class Certainty(typing.TypedDict):
    """By `confidence.confidence`: of images of one kind; `rejection` by share, as text."""

    expected_calibration_error: float
    rejection: dict[str, float]
    accuracy_top5: typing.NotRequired[float]


class Confidence(typing.TypedDict):
    """What ψ's probabilities are worth."""

    plain: Certainty
    protected: Certainty
    n: Count


class Confusion(typing.TypedDict):
    """Counts: a row for each class, a column for each class that it was taken for."""

    classes: list[str]
    plain: list
    protected: list
    n: Count


class Distances(typing.TypedDict):
    """Of images to their plain ones; PSNR in dB."""

    ssim: Summary
    psnr: Summary
    n: Count


class Leakage(Distances):
    """What guesses of plain images give away."""

    accuracy_on_reconstructed: float
    reidentification_top1: float
    reidentification_top5: float


class AnyAttack(typing.TypedDict):
    """Of one attack, whether it reconstructs pictures or not."""

    attack: typing.NotRequired[str | None]
    seed: typing.NotRequired[float | None]
    mean_image_ssim: typing.NotRequired[float | None]


class Attack(Leakage):
    """Of one that reconstructs pictures; a `sanity_check` is one whose result is known beforehand."""

    sanity_check: bool
    threat_model: str
    pairs: float


class Cost(typing.TypedDict):
    """MACs of one image, None where they are unknown, and trained parameters; of a keyed method ψ's alone."""

    transform_macs: typing.NotRequired[float | None]
    transform_parameters: typing.NotRequired[float | None]
    classifier_macs: typing.NotRequired[Count | None]
    classifier_parameters: float
    reader_macs: typing.NotRequired[float | None]
    reader_parameters: typing.NotRequired[float | None]


class Bytes(typing.TypedDict):
    """Of one image, as it is and, in the mean, as a PNG file."""

    raw: Count
    plain_png: float
    protected_png: float
    n: Count


class Found(typing.TypedDict):
    """Shares of images whose own comes first, or among the first five."""

    top1: float
    top5: float


class Linkage(typing.TypedDict):
    """How often two views of one picture are found to be that."""

    protected: Found
    plain: Found
    chance: Found
    n: Count


class BruteForce(typing.TypedDict):
    """Of a keyed method; sizes in bits."""

    choices_bits: float
    key_bits: float
    shrunken_key_bits: float
    recognised: float
    chance: float
    n: Count


class Attribute(typing.TypedDict):
    """How often an attribute besides the class is inferred, and what guesses get."""

    protected: float
    plain: float
    majority: float
    majority_given_class: float
    n: Count


class Strongest(typing.TypedDict):
    """The attack that got most by one metric, and its lowest and highest value over seeds."""

    attack: str
    value: float
    range: list[float]


class EvaluationClassifier(typing.TypedDict):
    """Accuracy of the independent classifier that finds the class of reconstructed images."""

    plain: float
    protected: float
    n: Count


class Suite(typing.TypedDict):
    """Of all attacks; not `valid` where a sanity check failed, each of which has a line; `strongest` by metric."""

    name: str
    valid: bool
    failed_sanity_checks: list[str]
    strongest: dict[str, Strongest]
    evaluation_classifier: EvaluationClassifier
    environment: typing.NotRequired[dict | None]


class Results(typing.TypedDict, total=False):
    """The whole file. Any part may be missing, but that a suite has its attacks and baselines.

    Attributes:
        schema: of this form; 1 where it is missing.
        codewords: of a codebook: how many different images it can send.
        bits: of a code: how many are sent.
        accuracy_by_bits: of a code: of the reader on protected images, by the number of bits.
        channels: accuracy of ψ on protected images after each channel, null where it was not measured, and `n`.
        attacks: each attack by its name; sanity checks begin with `sanity_check_`.
        prior_only: guesses that look at no protected image.
        attribute_inference: by attribute.
        config: of the run, without folders.
        environment: where it was trained, as in environment.json.
        seconds: that the epochs of each training have taken, by its name.
    """

    schema: int
    accuracy: Accuracy
    at_chance: AtChance
    confidence: Confidence
    confusion: Confusion
    codewords: Count
    bits: Count
    accuracy_by_bits: dict[str, float]
    channels: dict[str, float | None]
    protection: Distances
    cost: Cost
    bytes: Bytes
    attacks: dict[str, dict]
    prior_only: dict[str, Leakage]
    linkage: Linkage
    brute_force: BruteForce
    attribute_inference: dict[str, Attribute]
    attack_suite: Suite
    config: dict
    environment: dict
    seconds: dict[str, float]


def read(path: pathlib.Path) -> Values:
    """The dictionary in results.json, of this or an earlier version; empty where there is none yet.

    Raises:
        InputError: if it is damaged, or of a later version.
    """
    results = read_json(path) if path.is_file() else {}
    schema = results.get("schema", 1)
    if not is_known(schema):
        raise InputError(f"{path} has format {str(schema)[:20]}; this version of i2p_tf reads format {SCHEMA}")
    return results if schema == SCHEMA else translated(results) | {"schema": SCHEMA} if results else {}


def is_known(schema: Any) -> bool:
    """Whether this version reads results of that schema."""
    return type(schema) is int and 1 <= schema <= SCHEMA


def summary(values: np.ndarray) -> Summary:
    """The `Summary` of an array."""
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }


def value(result: Mapping[str, Any], metric: str) -> float:
    """What a `Leakage` says by one of `METRICS`: the mean, where there is a `Summary`."""
    found = result[metric]
    return found["mean"] if isinstance(found, dict) else found


def channels(results: Values) -> dict[str, float | None]:
    """Accuracies of ψ on protected images, by how these have travelled."""
    return {name: accuracy for name, accuracy in results["channels"].items() if name != "n"}
