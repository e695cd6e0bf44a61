"""What a run has left behind, read and checked: the only part of the report that knows files."""

import dataclasses
import shlex
import sys

from i2p_tf import pictures
from i2p_tf.attacks.summary import METRICS
from i2p_tf.channels.table import measured
from i2p_tf.config import Config
from i2p_tf.data.sources import shown_name
from i2p_tf.errors import InputError
from i2p_tf.pictures import PictureError
from i2p_tf.run_dir import RunDir

# Forms: a type, or parts by key. `float` stands for any finite number, `int` for one above 0, as what is divided by is.
_SUMMARY = dict.fromkeys(("mean", "median", "p95", "max"), float)
_SUMMARIES = dict.fromkeys(("ssim", "psnr"), _SUMMARY) | {"n": int}
_LEAKAGE = dict.fromkeys(METRICS, float) | _SUMMARIES
_ATTACK = _LEAKAGE | {"control": bool, "threat_model": str, "pairs": float}
_ATTRIBUTE = dict.fromkeys(("protected", "plain", "majority", "majority_given_class"), float) | {"n": int}
_STRONGEST = {"attack": str, "value": float, "range": list}
_CONFIDENCE = {"expected_calibration_error": float, "rejection": {}}
PARTS = {
    "accuracy": {"protected": float, "n": int},
    "confidence": {"plain": _CONFIDENCE, "protected": _CONFIDENCE, "n": int},
    "confusion": {"classes": list, "plain": list, "protected": list, "n": int},
    "codewords": int,
    "channels": {"n": int},
    "protection": _SUMMARIES,
    "cost": {"classifier_parameters": float},
    "bytes": {"raw": int, "plain_png": float, "protected_png": float, "n": int},
    "attacks": {},
    "floors": {"mean_image": _LEAKAGE, "label_only": _LEAKAGE},
    "linkage": dict.fromkeys(("protected", "plain", "chance"), {"top1": float, "top5": float}) | {"n": int},
    "brute_force": dict.fromkeys(("choices_bits", "key_bits", "shrunken_key_bits", "recognised", "chance"), float)
    | {"n": int},
    "attribute_inference": {},
    "attack_suite": {
        "name": str,
        "valid": bool,
        "failed_controls": list,
        "strongest": dict.fromkeys(METRICS, _STRONGEST),
        "judge": {"plain": float, "protected": float, "n": int},
    },
}
# What a keyed method or an older version leaves out. The keys of one form go together.
_OPTIONAL = {
    "accuracy": ({"plain": float},),
    "channels": tuple({name: float} for name in measured()),
    "cost": ({"transform_macs": float, "transform_parameters": float}, {"classifier_macs": int}),
    "attack_suite": ({"environment": {}},),
}
_OPTIONAL_IN_ATTACKS = ({"attack": str}, {"seed": float}, {"mean_image_ssim": float})
_KINDS = {
    float: "a finite number",
    int: "a number above 0",
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "an object",
}


@dataclasses.dataclass(frozen=True)
class Record:
    """A run as the report sees it.

    Attributes:
        name: of its folder.
        config: config.json, with the defaults of this version.
        environment: environment.json; empty where there is none.
        results: results.json; empty where there is none.
        run_dir: the `RunDir`, for its pictures.
    """

    name: str
    config: dict
    environment: dict
    results: dict
    run_dir: RunDir

    @property
    def place(self):
        """The run as one types it: its path, if that is relative; else its name, as folders say more of their owner."""
        path = self.run_dir.path
        return shlex.quote(self.name if path.is_absolute() else str(path))

    @property
    def encryption(self):
        """The keyed method that the run uses instead of h_θ; None if there is h_θ."""
        return self.config.get("encryption")

    @property
    def is_codebook(self):
        """Whether h_θ sends one of some fixed pictures, whatever it gets."""
        return Config.from_json(self.config).sends_codewords

    @property
    def classifier(self):
        """What ψ is called."""
        return Config.from_json(self.config).classifier_name

    @property
    def dataset(self):
        """The data set's name."""
        return shown_name(self.config["dataset"])

    @property
    def pairs_from(self):
        """The names of other data sets that attackers learned from."""
        found = {result.get("pairs_from") for result in self.results.get("attacks", {}).values()} - {None}
        return sorted(map(shown_name, found))

    @property
    def attacked(self):
        """Whether a suite of attacks was finished."""
        return "attack_suite" in self.results

    def samples(self, attack=None):
        """samples.png of an attack or, without one, of the run: RGB `PIL.Image.Image`, or None if it can't be had."""
        path = self.run_dir.samples
        if attack:
            path = self.run_dir.attack(self.results["attack_suite"]["name"], attack) / path.name
        return _picture(path)

    def codewords(self):
        """codewords.png, the pictures of a codebook in one row, as `samples`."""
        return _picture(self.run_dir.codewords)


def _picture(path):
    try:
        return pictures.decode(path)
    except PictureError:
        return None


def read(path):
    """Reads a run directory.

    Raises:
        InputError: if it is none, or a file in it is damaged.
    """
    run_dir = RunDir(path)
    config = run_dir.load_config().to_json()
    results, environment = run_dir.read_results(), run_dir.read_environment()
    try:
        _check(environment, {}, "")
    except ValueError as error:
        raise InputError(f"{run_dir.environment} is damaged: {error}; without it the report says less") from error
    try:
        _check_results(results)
    except ValueError as error:
        message = f"{run_dir.results} is damaged: {error}; delete it, and bin/evaluate and bin/attack write it again"
        raise InputError(message) from error
    return Record(run_dir.path.resolve().name, config, environment, results, run_dir)


def _check_results(results):
    _check(results, {}, "")
    for part, form in PARTS.items():
        if part in results:
            _check(results[part], form, part)
            _check_optional(results[part], _OPTIONAL.get(part, ()), part)
    if "confidence" in results:
        _check_confidence(results["confidence"])
    if "confusion" in results:
        _check_confusion(results["confusion"])
    for name, read in results.get("attribute_inference", {}).items():
        _check(read, _ATTRIBUTE, f"attribute_inference.{name}")
    if "attack_suite" not in results:
        return
    _check(results, dict.fromkeys(("attacks", "floors"), {}), "")
    for name, attack in results["attacks"].items():
        _check(attack, {}, f"attacks.{name}")
        _check_optional(attack, _OPTIONAL_IN_ATTACKS, f"attacks.{name}")
        if "ssim" in attack:  # others restore no pictures
            _check(attack, _ATTACK, f"attacks.{name}")
    for name, floor in results["floors"].items():
        _check(floor, _LEAKAGE, f"floors.{name}")
    _check_suite(results["attack_suite"], results["attacks"])


def _check_confidence(measured):
    plain, protected = measured["plain"], measured["protected"]
    form = dict.fromkeys(plain["rejection"], float)
    if not all(map(_is_share, form)):
        raise ValueError("confidence.plain.rejection is not by shares")
    top = {"accuracy_top5": float} if "accuracy_top5" in plain else {}
    for kind, values in (("plain", plain), ("protected", protected)):
        _check(values, top | {"rejection": form}, f"confidence.{kind}")


def _is_share(text):
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


def _check_confusion(confusion):
    names = confusion["classes"]
    for number, name in enumerate(names):
        _check(name, str, f"confusion.classes.{number}")
    for kind in ("plain", "protected"):
        rows = confusion[kind]
        if [len(row) if isinstance(row, list) else None for row in rows] != [len(names)] * len(names):
            raise ValueError(f"confusion.{kind} is not a row of counts for each class")
        for number, row in enumerate(rows):
            _check(dict(enumerate(row)), dict.fromkeys(range(len(row)), float), f"confusion.{kind}.{number}")


def _check_suite(suite, attacks):
    for number, line in enumerate(suite["failed_controls"]):
        _check(line, str, f"attack_suite.failed_controls.{number}")
    for metric in METRICS:
        best, place = suite["strongest"][metric], f"attack_suite.strongest.{metric}"
        if attacks.get(best["attack"], {}).get("control") is not False:
            raise ValueError(f"{place}.attack is not among the attacks")
        _check(attacks[best["attack"]], _ATTACK, f"attacks.{best['attack']}")
        if len(best["range"]) != 2:
            raise ValueError(f"{place}.range is not two numbers")
        _check(dict(enumerate(best["range"])), {0: float, 1: float}, f"{place}.range")


def _check_optional(value, forms, place):
    """As `_check`, of those `forms` of which `value` has anything."""
    for form in forms:
        if any(value.get(key) is not None for key in form):
            _check(value, form, place)


def _check(value, form, place):
    """Raises `ValueError`, which says where, if `value` lacks a part of `form`."""
    kind = dict if isinstance(form, dict) else form
    if not _is(kind, value):
        raise ValueError(f"{place or 'the file'} is not {_KINDS[kind]}")
    for key, part in form.items() if kind is dict else ():
        inner = f"{place}.{key}".lstrip(".")
        if key not in value:
            raise ValueError(f"{inner} is missing")
        _check(value[key], part, inner)


def _is(kind, value):
    if kind not in (float, int):
        return isinstance(value, kind)
    # Not math.isfinite, which fails for an integer beyond the range of a float.
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return number and (kind is float or value > 0)
