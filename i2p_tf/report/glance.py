"""What stands above the verdict: pictures, and three figures in words."""

from collections.abc import Iterator
from typing import Any

from i2p_tf import chance
from i2p_tf.report import findings, galleries, names
from i2p_tf.report.blocks import Figure, Figures, Notice, Paragraph
from i2p_tf.report.findings import SSIM, TOP1
from i2p_tf.report.formats import code, count, percent, ssim
from i2p_tf.report.record import Record

NOT_MEASURED = "not measured"


def blocks(record: Record, prefix: str) -> Iterator[Any]:
    """The pictures and the figures of one run."""
    yield _pictures(record, prefix)
    yield Figures((_classified(record), *_attacked(record)))


def warnings(record: Record) -> Iterator[Notice]:
    """What makes all figures meaningless."""
    lines = chance.warnings(record.results)
    if lines:
        yield Notice("The training has taught the classifier nothing", tuple(f"{line}." for line in lines), alarm=True)


def _pictures(record, prefix):
    if record.attacked:
        best = findings.strongest(record.results, SSIM)["attack"]
        samples, class_alone = record.samples(best), record.samples("prior_only_label_only")
        caption = (
            "Test pictures, what is sent of them, and what the strongest attack makes of that. An attack that only "
            "knows the class draws a typical picture of it; what looks like the plain picture beyond that is a leak."
        )
        kind = names.plain(record.results["attacks"][best].get("attack", best))
        gallery = samples and galleries.overview(caption, f"By {kind}", samples, class_alone, prefix)
        missing = f"The pictures of {code(best)} are not there, or damaged: its samples.png can't be shown."
    else:
        samples = record.samples()
        gallery = samples and galleries.protected("Test pictures and what is sent of them.", samples, prefix)
        missing = f"The pictures are not there; {code(f'bin/evaluate --run_dir={record.place}')} writes them."
    return gallery or Paragraph(missing)


def _classified(record):
    accuracy = record.results.get("accuracy")
    if not accuracy:
        return Figure(NOT_MEASURED, "How many protected pictures are classified correctly.")
    compared = accuracy.get("plain") is not None and not record.encryption  # ψ of a keyed method knows no plain ones
    plain = f"; sent plain, {percent(accuracy['plain'])}" if compared else ""
    who = " The device decides that, not ψ." if record.is_codebook else ""
    text = f"of {count(accuracy['n'])} protected test pictures are classified correctly{plain}.{who}"
    return Figure(percent(accuracy["protected"]), text)


def _attacked(record):
    if not record.attacked:
        yield Figure(NOT_MEASURED, "How much of the plain pictures an attack reconstructs.")
        yield Figure(NOT_MEASURED, "How many reconstructed pictures lead to their source.")
        return
    if not record.results["attack_suite"]["valid"]:
        yield Figure("not valid", "How much an attack reconstructs: a sanity check misbehaves.")
        yield Figure("not valid", "How many reconstructed pictures lead to their source: a sanity check misbehaves.")
        return
    yield _reconstructed(record.results)
    yield _reidentified(record.results)


def _reconstructed(results):
    best = findings.strongest(results, SSIM)
    n = results["attacks"][best["attack"]]["n"]
    baseline = ssim(SSIM.of(results["prior_only"]["label_only"]))
    text = f"is the most that an attack reconstructs (n = {count(n)}). The class alone gives {baseline}, a copy 1."
    return Figure(f"SSIM {ssim(best['value'])}", text)


def _reidentified(results):
    best = findings.strongest(results, TOP1)
    n = results["attacks"][best["attack"]]["n"]
    chance = percent(findings.chance(results, TOP1))  # type: ignore[arg-type]  # there is one of this metric
    alone = TOP1.of(results["prior_only"]["label_only"])
    text = (
        f"re-identification top-1: so many of the reconstructed pictures (n = {count(n)}) lead to their source first. "
        f"By chance it is {chance}, with the class alone {percent(alone)}."
    )
    return Figure(percent(best["value"]), text)
