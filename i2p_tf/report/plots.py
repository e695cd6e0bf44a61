"""Results to dot plots."""

import math
from collections.abc import Sequence

from i2p_tf.hints import Values
from i2p_tf.report import findings, names
from i2p_tf.report.blocks import Dot, Plot
from i2p_tf.report.findings import SSIM, Metric
from i2p_tf.report.formats import count, share
from i2p_tf.report.record import Record
from i2p_tf.report.tables import WRITTEN


def attacks(results: Values, metric: Metric) -> Plot | None:
    """What each attack gets by a metric whose highest value is 1, against the prior_only."""
    dots = []
    for kind, runs in findings.attacks_by_kind(results).items():
        values = [metric.of(run) for run in runs]
        marks = _marks(metric, runs[0], results)
        dots.append(
            Dot(names.plain(kind), max(values), WRITTEN[metric](max(values)), (min(values), max(values)), marks)
        )
    return _plot(f"{metric.title[0].upper()}{metric.title[1:]}: every attack, against the prior-only baselines", dots)


def runs(records: Sequence[Record]) -> Plot | None:
    """The strongest attack on each run by SSIM, against the run's own prior_only."""
    dots = []
    for record in records:
        if record.attacked:
            best = findings.strongest(record.results, SSIM)
            result = record.results["attacks"][best["attack"]]
            marks = _marks(SSIM, result, record.results)
            text = f"{WRITTEN[SSIM](best['value'])}, n = {count(result['n'])}"
            name = record.name if record.results["attack_suite"]["valid"] else f"{record.name}: NOT VALID"
            dots.append(Dot(name, best["value"], text, tuple(best["range"]), marks))
    return _plot("Mean SSIM that the strongest attack reconstructs, against the prior-only baselines", dots)


def accuracies(records: Sequence[Record]) -> Plot | None:
    """What ψ reads of protected images on each run, against plain ones."""
    dots = []
    for record in records:
        if accuracy := record.results.get("accuracy"):
            value = accuracy["protected"]
            text = f"{share(value)}, n = {count(accuracy['n'])}"
            marks = {"plain images": accuracy["plain"]} if "plain" in accuracy else {}
            dots.append(Dot(record.name, value, text, (value, value), marks))
    return Plot("Accuracy of ψ on protected images, against plain ones", 0.0, 1.0, tuple(dots), "protected images")


def _marks(metric, result, results):
    return {
        names.plain("label_only"): metric.of(results["prior_only"]["label_only"]),
        names.plain("mean_image"): findings.mean_image(metric, result, results),
    }


def _plot(caption, dots):
    """A plot from 0 to 1, or from a lower tenth where a value is below 0."""
    lowest = min([0.0, *(min(dot.range[0], *dot.marks.values()) for dot in dots)])
    return Plot(caption, math.floor(10 * lowest) / 10, 1.0, tuple(dots))
