"""Recorded runs (results.json) as one page that sets them side by side: generated, so that no figure is typed."""

import shlex

from i2p_tf.errors import InputError
from i2p_tf.report import findings, names, tables, verdict
from i2p_tf.report.blocks import Alarm, Commands, Paragraph, Report, Section, Table
from i2p_tf.report.findings import SSIM, TOP1
from i2p_tf.report.formats import code, count, share, spread, ssim
from i2p_tf.report.record import Record

TITLE = "The paper's table"
_INTRODUCTION = (
    "Each row is one run, made from the JSON file of its name: its results.json, which holds its settings too. "
    "`bin/report --page=FOLDER` writes this page anew. Accuracies are those of ψ on 8-bit test images. An attack says "
    "what it could get, and not what others, or longer trained ones, would. No row reproduces a figure of the paper."
)
_COLUMNS = (
    *(
        "run",
        "data, ψ",
        "protected by",
        "plain",
        "protected",
        "n",
        "h_θ, of ψ",
        "bytes",
        "at most bits",
        "SSIM as sent",
    ),
    *("attack", "SSIM, mean", "p95", "class alone", "top-1", "by chance", "linked", "n", "valid"),
)


def page(records: list[Record]) -> Report:
    """The page of recorded runs.

    Args:
        records: as `record.recorded` reads them.

    Raises:
        InputError: if one of them has not been evaluated.
    """
    for record in records:
        if "accuracy" not in record.results:
            raise InputError(f"{record.name}.json holds no accuracy; bin/evaluate of its run measures it")
    table = Table("The runs side by side", _COLUMNS, tuple(map(_row, records)), words=3)
    blocks = (Paragraph(_INTRODUCTION), table, Paragraph(_LEGEND))
    return Report(TITLE, (Section("How to read it", blocks), *map(_making, records)))


_LEGEND = (
    "Bytes: mean size of a protected picture as PNG. At most bits: what can leave the device, where that is bounded. "
    "SSIM as sent: mean likeness of protected pictures to plain ones; near 1 they hide nothing, and a low one proves "
    "nothing. SSIM, mean: of what the strongest attack by it reconstructs, beside what the class alone gives an "
    "attacker; top-1: how often the strongest attack by it leads to the right one of n pictures. Linked: how often two "
    "views of one picture are found to be that. Valid: whether all sanity checks of the attacks behave."
)


def _row(record):
    results, config = record.results, record.config
    accuracy = results["accuracy"]
    return (
        code(record.name),
        f"{record.dataset}, {record.classifier}",
        f"{verdict.method(record)}, {config['transform_recipe']['epochs']} epochs",
        tables.NONE if accuracy.get("plain") is None else share(accuracy["plain"]),
        share(accuracy["protected"]),
        count(accuracy["n"]),
        tables.relative_cost(results),
        count(results["bytes"]["protected_png"]) if "bytes" in results else tables.NONE,
        _bound(results),
        ssim(results["protection"]["ssim"]["mean"]) if "protection" in results else tables.NONE,
        *_leaks(record),
    )


def _bound(results):
    """Bits that the number of different protected pictures allows."""
    if "codewords" in results:
        return f"log2 {results['codewords']}"
    return count(results["bits"]) if "bits" in results else tables.NONE


def _leaks(record):
    if not record.attacked:
        return ("not attacked", *(tables.NONE,) * 8)
    results = record.results
    best, by_top1 = findings.strongest(results, SSIM), findings.strongest(results, TOP1)
    attack = results["attacks"][best["attack"]]
    return (
        names.plain(attack.get("attack") or best["attack"]),
        spread(best["range"], ssim),
        ssim(attack["ssim"]["p95"]),
        ssim(SSIM.of(results["prior_only"]["label_only"])),
        spread(by_top1["range"], share),
        share(findings.chance(results, TOP1)),  # type: ignore[arg-type]  # there is one of this metric
        share(results["linkage"]["protected"]["top1"]) if "linkage" in results else tables.NONE,
        count(attack["n"]),
        "yes" if results["attack_suite"]["valid"] else Alarm("NO"),
    )


def _making(record):
    """How one run was made."""
    lines = [record.environment.get("command", f"bin/train --dataset={record.dataset}    # and its settings")]
    if record.attacked:
        suite, seeds = record.results["attack_suite"]["name"], len(findings.seeds(record.results))
        lines.append(f"bin/attack --run_dir={shlex.quote(record.name)} --suite={suite} --repetitions={seeds}")
    return Section(record.name, (Commands(tuple(lines)), Paragraph(_circumstances(record))), level=3)


def _circumstances(record):
    config, environment, seconds = record.config, record.environment, record.results["seconds"]
    unit = " of the variance of φ's features" if config.get("feature_unit") == "variance" else ""
    weight = f" λ = {config['feature_loss_weight']}{unit}." if "feature_loss_weight" in config else ""
    times = ", ".join(f"{network} {total / 60:.0f} min" for network, total in seconds.items())
    given = "" if "classifier" in seconds else " ψ was there before: the run holds its file."
    text = f"Seed {config['seed']}.{weight}{given} Time in epochs: {times or 'not known'}."
    if not environment:
        return f"{text} Where it was trained is not known."
    versions = ", ".join(f"{name} {environment['packages'][name]}" for name in ("tensorflow", "keras"))
    machine = f"{environment['processor']}, {environment['cores']} cores"
    return f"{text} {code(environment['precision'])}, {machine}, {versions}, commit {environment['commit']}."
