"""Results to tables: pure functions from the contents of results.json."""

from i2p_tf.attacks.rows import kind_of
from i2p_tf.attacks.sanity_checks import SANITY_CHECKS, TOLERANCE
from i2p_tf.hints import Values
from i2p_tf.report import findings, names
from i2p_tf.report.blocks import Alarm, Table
from i2p_tf.report.findings import CLASS, PSNR, SSIM, TOP1, TOP5
from i2p_tf.report.formats import code, count, decibels, millions, share, spread, ssim

NONE = "–"
UNKNOWN = "unknown"
WRITTEN = {SSIM: ssim, PSNR: decibels, CLASS: share, TOP1: share, TOP5: share}


def accuracy(results: Values, encryption: str | None) -> Table:
    """Accuracy of ψ on plain and protected images."""
    measured = results["accuracy"]
    rows = [("on protected images", share(measured["protected"]), count(measured["n"]))]
    if measured.get("plain") is not None:
        read = "on plain images, which it was not trained on" if encryption else "on plain images"
        rows.insert(0, (read, share(measured["plain"]), count(measured["n"])))
    return Table("Accuracy of the classifier ψ", ("ψ reads", "accuracy", "n"), tuple(rows))


def channels(results: Values) -> Table:
    """What ψ still reads when protected images do not travel as they are."""
    measured = results["channels"]
    titles = {
        "png": "PNG: as they were",
        "jpeg_90": "JPEG, quality 90",
        "jpeg_75": "JPEG, quality 75",
        "resize_2x": "scaled to twice the size and back",
    }
    rows = [
        (title, share(measured[name]), count(measured["n"])) if name in measured else (title, "not measured", "")
        for name, title in titles.items()
    ]
    return Table("Accuracy on protected images after each channel", ("arriving as", "accuracy", "n"), tuple(rows))


def protection(results: Values) -> Table:
    """Protected images against plain ones, before any attack."""
    measured = results["protection"]
    rows = [
        (title, *(written(measured[key][statistic]) for statistic in ("mean", "median", "p95", "max")))
        + (count(measured["n"]),)
        for key, title, written in (("ssim", "SSIM", ssim), ("psnr", "PSNR [dB]", decibels))
    ]
    columns = ("likeness", "mean", "median", "p95", "max", "n")
    return Table("The protected image against the plain one, not attacked", columns, tuple(rows))


def headline(results: Values) -> Table:
    """The strongest attack by each metric, beside the prior-only baselines and chance."""
    rows = []
    for metric in findings.METRICS:
        best, written = findings.strongest(results, metric), WRITTEN[metric]
        result, chance = results["attacks"][best["attack"]], findings.chance(results, metric)
        lowest, highest = best["range"]
        kind = result.get("attack", best["attack"])
        seeds = len(findings.attacks_by_kind(results)[kind])
        rows.append(
            (
                metric.title,
                names.plain(kind),
                written(best["value"]),
                f"{written(lowest)} to {written(highest)}" if seeds > 1 else "one seed",
                written(metric.of(results["prior_only"]["label_only"])),
                written(findings.mean_image(metric, result, results)),
                NONE if chance is None else written(chance),
                count(result["n"]),
            )
        )
    columns = ("metric", "strongest attack", "it gets", "over seeds", "class alone", "mean image", "chance", "n")
    return Table("The strongest attack by each metric, and the prior-only baselines", columns, tuple(rows), words=2)


def attacks(results: Values) -> Table:
    """Every attack that reconstructs pictures, then the prior_only."""
    rows = [
        (names.plain(kind), runs[0]["threat_model"], count(runs[0]["pairs"]), str(len(runs)), *_leakage(runs))
        for kind, runs in findings.attacks_by_kind(results).items()
    ]
    rows += [
        (f"prior-only baseline: {names.plain(name)}", NONE, NONE, "1", *_leakage([result]))
        for name, result in results["prior_only"].items()
    ]
    columns = (
        "attack or prior-only baseline",
        "who",
        "pairs",
        "seeds",
        "SSIM mean",
        "p95",
        "PSNR [dB]",
        "class accuracy",
        "top-1",
        "top-5",
        "n",
    )
    return Table(
        "All attacks and prior-only baselines; of several seeds the highest value (from the lowest)",
        columns,
        tuple(rows),
        words=2,
    )


def attack_names(results: Values) -> Table:
    """The plain names of attacks and prior-only baselines beside those in results.json."""
    found = (*findings.attacks_by_kind(results), *results["prior_only"])
    rows = tuple((names.plain(name), code(name)) for name in found)
    return Table(
        "The names of attacks and prior-only baselines in results.json", ("here", "in results.json"), rows, words=2
    )


def sanity_checks(results: Values) -> Table:
    """What the sanity checks have to give, and gave."""
    rows = []
    for name, result in results["attacks"].items():
        if not result.get("sanity_check") or "ssim" not in result:
            continue
        sanity_check = name.removeprefix("sanity_check_")
        failed = any(line.startswith(f"{sanity_check} ") for line in results["attack_suite"]["failed_sanity_checks"])
        measured = ssim(result["ssim"]["mean"])
        due = _due(sanity_check, result.get("attack", ""), findings.mean_image(SSIM, result, results))
        rows.append((code(sanity_check), due, measured, Alarm("NO") if failed else "yes", count(result["n"])))
    columns = ("sanity check", "SSIM that is due", "SSIM", "behaves", "n")
    return Table("Sanity checks: protections whose result is known beforehand", columns, tuple(rows), words=2)


def cost(results: Values) -> Table:
    """What h_θ costs the device, and the reader of codes the cloud, against ψ."""
    costs = results["cost"]
    rows = [_network("classifier ψ, in the cloud", costs, "classifier")]
    if "reader_parameters" in costs:
        rows.insert(0, _network("reader of codes, in the cloud", costs, "reader"))
    if costs.get("transform_macs"):
        rows.insert(0, _network("transform h_θ, on the device", costs, "transform"))
    columns = ("network", "million MACs an image", "share of ψ", "parameters")
    return Table("Cost of one image", columns, tuple(rows))


def transferred(results: Values) -> Table:
    """Bytes of an image in the forms in which it can be sent."""
    sizes = results["bytes"]
    forms = (
        ("8-bit values, not compressed", "raw"),
        ("plain image as PNG, mean", "plain_png"),
        ("protected image as PNG, mean", "protected_png"),
    )
    rows = [(title, count(sizes[key]), f"{sizes[key] / sizes['raw']:.2f}", count(sizes["n"])) for title, key in forms]
    return Table("Bytes of one image", ("form", "bytes", "share of the 8-bit values", "n"), tuple(rows))


def linkage(results: Values) -> Table:
    """How often two altered views of one picture are found to belong together, both protected."""
    found = results["linkage"]
    rows = [
        (title, share(found[key]["top1"]), share(found[key]["top5"]), count(found["n"]))
        for title, key in (("protected", "protected"), ("plain, to compare", "plain"), ("by chance", "chance"))
    ]
    caption = "Linkage: is a picture found among slightly altered views of all, protected in the same way?"
    return Table(caption, ("images", "top-1", "top-5", "n"), tuple(rows))


def brute_force(results: Values) -> Table:
    """The number of keys of a keyed method, and what trying all of a shrunken key finds."""
    found = results["brute_force"]
    rows = (
        ("bits of the key that the method can use", f"{found['choices_bits']:,.0f}", NONE),
        ("bits of a real key, at most those of a key file", f"{found['key_bits']:,.0f}", NONE),
        (
            f"picture found, all keys of {found['shrunken_key_bits']} bits",
            share(found["recognised"]),
            count(found["n"]),
        ),
        ("by chance", share(found["chance"]), NONE),
    )
    return Table("Brute force over keys, shown on a shrunken key", ("measure", "value", "n"), rows)


def attribute_inference(results: Values) -> Table:
    """How well another attribute than the class is read from protected images."""
    rows = [
        (code(name), *(share(read[key]) for key in ("protected", "plain", "majority", "majority_given_class")))
        + (count(read["n"]),)
        for name, read in results["attribute_inference"].items()
    ]
    columns = ("attribute", "from protected", "from plain", "most frequent", "most frequent of the class", "n")
    return Table("Other attributes: accuracy of a network trained to read them", columns, tuple(rows))


def relative_cost(results: Values) -> str:
    """MACs of h_θ as a share of ψ's, in words for a cell."""
    costs = results.get("cost", {})
    if not costs.get("transform_macs"):
        return NONE
    times = _of_classifier(costs, "transform")
    return times if times == UNKNOWN else f"{times} ψ"


def listing(caption: str, values: Values) -> Table:
    """A dictionary, one row an entry."""
    rows = tuple((code(name), _written(value)) for name, value in values.items())
    return Table(caption, ("name", "value"), rows, words=2)


def _leakage(runs):
    """The cells of one attack: of several repetitions the strongest, and the range."""
    columns = (
        ([run["ssim"]["mean"] for run in runs], ssim),
        ([run["ssim"]["p95"] for run in runs], ssim),
        ([run["psnr"]["mean"] for run in runs], decibels),
        *(([run[metric.key] for run in runs], share) for metric in (CLASS, TOP1, TOP5)),
    )
    return (*(spread(values, written) for values, written in columns), count(runs[0]["n"]))


def _due(sanity_check, attack, mean_image):
    """What is due of a sanity check, whose name follows that of the attack where the suite has several to try on it."""
    sanity_check, row = sanity_check.removeprefix(f"{attack}_"), kind_of(attack)
    if sanity_check not in SANITY_CHECKS:
        return "see docs/attacks.md"
    at_least = SANITY_CHECKS[sanity_check].at_least
    if at_least is not None:
        return f"at least {at_least}"
    if row and row.specification.draws:
        return f"at most mean image's {ssim(mean_image)} + {TOLERANCE}"
    return f"mean image's {ssim(mean_image)} ± {TOLERANCE}"


def _network(title, costs, name):
    macs = costs[f"{name}_macs"]
    written = UNKNOWN if macs is None else millions(macs)
    return (title, written, _of_classifier(costs, name), count(costs[f"{name}_parameters"]))


def _of_classifier(costs, name):
    """MACs of a network as a share of ψ's, which may be unknown."""
    own = costs.get("classifier_macs")
    macs = costs[f"{name}_macs"]
    return UNKNOWN if own is None or macs is None else f"{macs / own:.2f}"


def _written(value):
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_written, value)) or NONE
    if isinstance(value, dict):
        return ", ".join(f"{name} {_written(inner)}" for name, inner in value.items())
    return NONE if value is None else str(value)
