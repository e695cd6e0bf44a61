"""What the results of a suite say: the strongest attack, what it is compared with, and whether it counts."""

import dataclasses
import math

from i2p_tf.attacks.sanity_checks import TOLERANCE
from i2p_tf.hints import Values
from i2p_tf.results import METRICS as KEYS
from i2p_tf.results import value


@dataclasses.dataclass(frozen=True)
class Metric:
    """One measure of what an attack got back.

    Attributes:
        key: in results.json.
        title: in tables.
    """

    key: str
    title: str

    def of(self, result: Values) -> float:
        """The value in a result: the mean, where there is a summary."""
        return value(result, self.key)


TITLES = ("SSIM, mean", "PSNR, mean [dB]", "class accuracy", "re-identification top-1", "re-identification top-5")
SSIM, PSNR, CLASS, TOP1, TOP5 = METRICS = tuple(map(Metric, KEYS, TITLES))


def strongest(results: Values, metric: Metric) -> Values:
    """The entry of `attack_suite.strongest`."""
    return results["attack_suite"]["strongest"][metric.key]


def chance(results: Values, metric: Metric) -> float | None:
    """What guessing gets of a re-identification; None of the other metrics."""
    gallery = results["attack_suite"]["evaluation_classifier"]["n"]
    return {TOP1: 1 / gallery, TOP5: min(1.0, 5 / gallery)}.get(metric)


def baseline(results: Values, metric: Metric) -> float:
    """The most that a guess gets which looks at no protected image, or at the class alone."""
    return max(metric.of(result) for result in results["prior_only"].values())


def attacks_by_kind(results: Values) -> dict[str, list]:
    """The attacks that reconstruct pictures, without sanity checks: kind -> results of its repetitions."""
    kinds: dict[str, list] = {}
    for name, result in results["attacks"].items():
        if "ssim" in result and not result["sanity_check"]:
            kinds.setdefault(result.get("attack", name), []).append(result)
    return kinds


def seeds(results: Values) -> list[int]:
    """The seeds of all attacks, without sanity checks."""
    attacks = results["attacks"].values()
    return sorted(
        {result["seed"] for result in attacks if result.get("seed") is not None and not result.get("sanity_check")}
    )


def exceeds_prior_only(results: Values) -> bool:
    """Whether any attack got more than the prior-only baselines: SSIM beyond the tolerance, or re-identification."""
    return largest_surplus(results)[1] > TOLERANCE or any(
        _exceeds_by_source(run, results) for runs in attacks_by_kind(results).values() for run in runs
    )


def largest_surplus(results: Values) -> tuple[str, float]:
    """The attack that got most SSIM beyond the prior-only baselines: its kind, and how much; below 0 if it is less."""
    surpluses = {kind: max(_surplus(run, results) for run in runs) for kind, runs in attacks_by_kind(results).items()}
    return max(surpluses.items(), key=lambda entry: entry[1])


def mean_image(metric: Metric, result: Values, results: Values) -> float:
    """What the mean image gets as a guess; an attack on a sample of the images knows the SSIM on its own sample."""
    on_all = metric.of(results["prior_only"]["mean_image"])
    return result.get("mean_image_ssim", on_all) if metric is SSIM else on_all


def _surplus(result, results):
    """SSIM beyond the highest prior-only baseline; those of a sample are higher or lower as its mean image is."""
    easier = mean_image(SSIM, result, results) - SSIM.of(results["prior_only"]["mean_image"])
    return SSIM.of(result) - (baseline(results, SSIM) + easier)


def _exceeds_by_source(result, results):
    """By more than three standard deviations of the difference of two counts with the baseline's mean, and one hit."""
    guessed = max(baseline(results, TOP1), chance(results, TOP1) or 0.0) * result["n"]
    return TOP1.of(result) * result["n"] > guessed + 3 * math.sqrt(2 * guessed) + 1
