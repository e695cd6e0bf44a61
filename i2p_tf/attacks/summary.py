"""What a suite says in the end: the strongest attack by each metric, and a table for a terminal."""

from i2p_tf.attacks.threat_models import THREAT_MODELS
from i2p_tf.hints import Values
from i2p_tf.results import METRICS, value


def strongest(attacks: dict[str, Values]) -> Values:
    """By metric: which attack got most out of the images, how much, and its range over seeds.

    The class is read too coarsely from a sample of the images: there, only attacks on all of them are ranked.

    Args:
        attacks: dictionary of names to results as in results.json, without sanity checks.
    """
    everything = max(result["n"] for result in attacks.values())
    on_all = {name: result for name, result in attacks.items() if result["n"] == everything}
    return {
        metric: _strongest(on_all if metric == "accuracy_on_reconstructed" else attacks, metric) for metric in METRICS
    }


def table(results: Values) -> str:
    """The results of a suite as lines for a terminal."""
    suite, attacks = results["attack_suite"], results["attacks"]
    rows = [("", "SSIM", "p95", "PSNR", "class", "top-1", "top-5", "n", "threat", "seconds")]
    rows += [_row(name, result) for name, result in attacks.items() if not result["sanity_check"]]
    rows += [_row(f"prior-only baseline: {name}", result) for name, result in results["prior_only"].items()]
    rows += [_row(name, result) for name, result in attacks.items() if result["sanity_check"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    reader = suite["evaluation_classifier"]
    lines += [
        "",
        f"n = {reader['n']} test images; by chance top-1 is {1 / reader['n']:.4f}; class: accuracy of the evaluation "
        f"classifier, which has {reader['plain']:.4f} on plain and {reader['protected']:.4f} on protected images",
    ]
    for threat_model in sorted({result["threat_model"] for result in attacks.values()}):
        lines.append(f"{threat_model}: the attacker holds {THREAT_MODELS[threat_model].holds}")
    lines += [_best(metric, best, attacks) for metric, best in suite["strongest"].items()]
    lines += ["", *_linkage(results["linkage"])]
    for attribute, result in results.get("attribute_inference", {}).items():
        lines += _attribute(attribute, result)
    if "brute_force" in results:
        lines += _brute_force(results["brute_force"])
    return "\n".join(lines)


def _best(metric, best, attacks):
    kind = attacks[best["attack"]].get("attack", best["attack"])
    seeds = sum(result.get("attack", name) == kind and not result["sanity_check"] for name, result in attacks.items())
    low, high = best["range"]
    spread = f", {low:.4f} to {high:.4f} over {seeds} seeds" if seeds > 1 else ""
    return f"strongest by {metric}: {best['value']:.4f}, {best['attack']}, n = {attacks[best['attack']]['n']}{spread}"


def _linkage(result):
    protected, plain, chance = (result[kind] for kind in ("protected", "plain", "chance"))
    return [
        "linkage: a protected image leads to the protected one of the same picture, moved by a pixel and made a little "
        f"brighter: top-1 {protected['top1']:.4f}, top-5 {protected['top5']:.4f}, n = {result['n']}",
        f"  without protection {plain['top1']:.4f} and {plain['top5']:.4f}; by chance {chance['top1']:.4f} and "
        f"{chance['top5']:.4f}; two equal pictures give two equal protected ones",
    ]


def _attribute(name, result):
    guesses = f"{result['majority']:.4f}, the most frequent one of the true class {result['majority_given_class']:.4f}"
    return [
        f"{name}: a network that learnt from protected images reads {result['protected']:.4f}, n = {result['n']}",
        f"  one that learnt from plain images {result['plain']:.4f}; guesses: the most frequent value {guesses}",
    ]


def _brute_force(result):
    choices, bits, few = result["choices_bits"], result["key_bits"], 2 ** result["shrunken_key_bits"]
    return [
        f"brute force: {result['method']} has 2^{choices:.0f} choices at this size, and 2^{bits:.0f} keys",
        f"  were there {few} keys only, the one that gives the smoothest picture would be the right one for "
        f"{result['recognised']:.4f} of the pictures, n = {result['n']}",
    ]


def _strongest(attacks, metric):
    values = {name: value(result, metric) for name, result in attacks.items()}
    best = max(values, key=lambda name: values[name])
    kind = attacks[best].get("attack", best)
    repetitions = [values[name] for name, result in attacks.items() if result.get("attack", name) == kind]
    return {"attack": best, "value": values[best], "range": [min(repetitions), max(repetitions)]}


def _row(name, result):
    numbers = (result["ssim"]["mean"], result["ssim"]["p95"], result["psnr"]["mean"])
    shares = (result[metric] for metric in METRICS[2:])
    formatted = [f"{number:.3f}" for number in numbers] + [f"{share:.4f}" for share in shares]
    return (name, *formatted, str(result["n"]), result.get("threat_model", ""), f"{result['seconds']:.0f}")
