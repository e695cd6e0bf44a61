"""Whether results.json is of the form that `results` describes, and agrees with itself."""

from i2p_tf.forms import Count, require
from i2p_tf.hints import Values
from i2p_tf.results import KINDS, METRICS, AnyAttack, Attack, Results


def check(results: Values) -> None:
    """Raises a `ValueError`, which says where, unless `results` are of the form of this or an earlier version."""
    require(results, Results, "")
    cost = results.get("cost", {})
    if cost.get("transform_macs") is not None or cost.get("transform_parameters") is not None:  # both or none
        require(cost, dict.fromkeys(("transform_macs", "transform_parameters"), float), "cost")
    if "channels" in results:
        require(results["channels"], {"n": Count}, "channels")
    if "accuracy_by_bits" in results:
        require(results, {"bits": Count, "accuracy_by_bits": {"n": Count}}, "")
    if "confidence" in results:
        _check_shares(results["confidence"])
    if "confusion" in results:
        _check_counts(results["confusion"])
    if "attack_suite" in results:
        _check_suite(results)


def _check_shares(measured):
    plain = measured["plain"]
    form = dict.fromkeys(plain["rejection"], float)
    if not all(map(_is_share, form)):
        raise ValueError("confidence.plain.rejection is not by shares")
    top = {"accuracy_top5": float} if "accuracy_top5" in plain else {}
    require(measured["protected"], top | {"rejection": form}, "confidence.protected")


def _is_share(text):
    return text.replace(".", "", 1).isdecimal() and 0 < float(text) <= 1


def _check_counts(confusion):
    classes = len(confusion["classes"])
    for kind in KINDS:
        rows = confusion[kind]
        if [len(row) if isinstance(row, list) else None for row in rows] != [classes] * classes:
            raise ValueError(f"confusion.{kind} is not a row of counts for each class")
        require(rows, list[list[float]], f"confusion.{kind}")


def _check_suite(results):
    require(results, {"attacks": dict, "prior_only": {"mean_image": dict, "label_only": dict}}, "")
    attacks, strongest = results["attacks"], results["attack_suite"]["strongest"]
    for name, attack in attacks.items():
        require(attack, AnyAttack, f"attacks.{name}")
        if "ssim" in attack:  # others reconstruct no pictures
            require(attack, Attack, f"attacks.{name}")
    require(strongest, dict.fromkeys(METRICS, dict), "attack_suite.strongest")
    for metric in METRICS:
        best, place = strongest[metric], f"attack_suite.strongest.{metric}"
        if attacks.get(best["attack"], {}).get("sanity_check") is not False:
            raise ValueError(f"{place}.attack is not among the attacks")
        require(attacks[best["attack"]], Attack, f"attacks.{best['attack']}")
        if len(best["range"]) != 2:
            raise ValueError(f"{place}.range is not two numbers")
