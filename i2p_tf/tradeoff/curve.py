"""Everything that is measured of one run, put together: a row for each number of bits."""

import time

from i2p_tf import drawing, inference
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.data.sources import shown_name
from i2p_tf.environment import describe_environment
from i2p_tf.evaluation import SIZED, png_bytes
from i2p_tf.models import cost
from i2p_tf.provenance import settings
from i2p_tf.run_dir import RunDir
from i2p_tf.tradeoff import sanity_checks
from i2p_tf.tradeoff.bench import bench as open_bench
from i2p_tf.tradeoff.ceiling import NAME as CEILING
from i2p_tf.tradeoff.ceiling import ceiling
from i2p_tf.tradeoff.device_only import device_only
from i2p_tf.tradeoff.form import Tradeoff
from i2p_tf.tradeoff.symbols import Symbols, class_alone
from i2p_tf.training.progress import Progress


def curve(
    run_dir: RunDir,
    dataset: Dataset,
    config: Config,
    rates: list[int],
    steps: int | None,
    command: str,
    progress: Progress,
) -> Tradeoff:
    """Measures a run; what is finished is not repeated.

    Args:
        run_dir: a `RunDir` of a code, finished, evaluated and locked.
        dataset: its `Dataset`.
        config: its `Config`.
        rates: members of `drawing.BITS`.
        steps: of attackers and ceiling; None for as many as h_θ had.
        command: that measures it again, for whoever reads the result.
        progress: a `Progress`.

    Returns:
        A `Tradeoff`, with a row for each of `rates`.

    Raises:
        InputError: if a network can't be read.
        AttackError: if an attacker's loss is not finite.
        TrainingError: if another loss is not finite.
    """
    started = time.monotonic()
    bench = open_bench(run_dir, dataset, config, steps, progress)
    alone = device_only(bench)
    prior = class_alone(bench)
    of_run = Symbols(bench, bench.transform)
    found = {bits: {"linkage": of_run.linkage(bits)["top1"], "attacks": of_run.attack(bits)} for bits in rates}
    of_ceiling = Symbols(bench, ceiling(bench), prefix=f"{CEILING}_")
    highest = {bits: _strongest(of_ceiling.attack(bits))[1] for bits in sorted({*rates, drawing.BITS[-1]})}
    constant = sanity_checks.constant_codes(bench)
    failed = sanity_checks.failures(highest[drawing.BITS[-1]], prior["ssim"], constant)
    shared = _shared(bench, alone, prior, command)
    by_bits = run_dir.read_results()["accuracy_by_bits"]
    sizes = _file_sizes(bench, rates)
    rows = [
        _row(shared | {"png_bytes": sizes[bits]}, bits, by_bits[str(bits)], found[bits], highest[bits])
        for bits in rates
    ]
    return {
        "rows": rows,
        "device_only": alone,
        "class_alone": prior,
        "sanity_checks": {"constant": constant, "failed": failed},
        "environment": describe_environment(),
        "seconds": round(time.monotonic() - started, 1),
    }


def _file_sizes(bench, rates):
    """Mean bytes of a PNG file of the first test pictures' drawings, by number of bits."""
    drawings = inference.protect(bench.transform, bench.dataset.test.images[:SIZED])
    return {bits: png_bytes(drawing.cut(drawings, bits)) for bits in rates}


def _shared(bench, alone, prior, command):
    """What all rows have in common."""
    config = bench.config
    return {
        "dataset": shown_name(config.dataset),
        "classifier": config.classifier_name,
        "client_macs": cost.macs(bench.transform),
        "psi_macs": cost.macs(bench.classifier),
        "plain": bench.run_dir.read_results()["accuracy"]["plain"],
        "device_only": alone["accuracy"],
        "class_alone_ssim": prior["ssim"],
        "n": len(bench.dataset.test.labels),
        "seeds": [config.seed],
        "steps": bench.steps,
        "config": settings(config),
        "command": command,
    }


def _row(shared, bits, protected, found, ceiling_ssim):
    """The row of a number of bits, whose accuracy is `protected`; attackers have `found` what they could."""
    alone = shared["device_only"]
    return (
        {"bits": bits, "protected": protected, "ceiling_ssim": ceiling_ssim}
        | shared
        | {"gain": None if alone is None else protected - alone}
        | _leaks(found["attacks"], ceiling_ssim, shared["class_alone_ssim"])
        | found
    )


def _leaks(attacks, ceiling_ssim, class_alone_ssim):
    """What the strongest attackers get."""
    name, ssim = _strongest(attacks)
    room = ceiling_ssim - class_alone_ssim
    return {
        "strongest_attack": name,
        "strongest_ssim": ssim,
        "leakage": (ssim - class_alone_ssim) / room if room > 0 else None,
        "reidentification_top1": max(result["reidentification_top1"] for result in attacks.values()),
    }


def _strongest(attacks):
    name = max(attacks, key=lambda name: attacks[name]["ssim"])
    return name, attacks[name]["ssim"]
