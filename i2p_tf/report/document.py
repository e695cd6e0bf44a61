"""Runs to a report: which blocks, in which order. Knows neither HTML nor Markdown."""

import pathlib
import shlex
from collections.abc import Sequence

from i2p_tf import concepts
from i2p_tf.encryption import SCHEMES
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.report import (
    certainty,
    codes,
    codewords,
    findings,
    galleries,
    glance,
    names,
    plots,
    reading,
    tables,
    tradeoff,
    verdict,
)
from i2p_tf.report.blocks import Alarm, Commands, Details, Paragraph, Report, Section, Table
from i2p_tf.report.findings import SSIM, TOP1
from i2p_tf.report.formats import code, count, share, spread, ssim
from i2p_tf.report.record import Record
from i2p_tf.results import Results


def report(records: Sequence[Record]) -> Report:
    """The `Report` of one or several `record.Record`s."""
    if len(records) == 1:
        (record,) = records
        title = f"Visual protection of {record.dataset}: {record.name}{_mark(record)}"
        return Report(title, (*_sections(record, 2, ""), reading.section()))
    sections = [_comparison(records)]
    for index, record in enumerate(records, start=1):
        parts = _sections(record, 3, f"{index}_")
        sections += [Section(f"{index}. {record.name}{_mark(record)}", parts[0].blocks), *parts[1:]]
    return Report(f"Visual protection: {len(records)} runs compared", (*sections, reading.section()))


def _sections(record, level, prefix):
    """The sections of one run; the first has what to look at, and the verdict."""
    parts = [
        ("At a glance", (*glance.blocks(record, prefix), *glance.warnings(record), verdict.notice(record))),
        ("What was protected, and from whom", _subject(record, prefix)),
        ("Does the classifier still work?", _accuracy(record)),
        *([("What the code is worth", tradeoff.blocks(record, prefix))] if record.tradeoff else []),
        (f"What attacks reconstruct{_mark(record)}", _attacks(record, prefix)),
        ("What it costs", _costs(record)),
        ("How it was made", _making(record)),
    ]
    return [Section(title, tuple(blocks), level) for title, blocks in parts]


def _mark(record):
    """Stands wherever figures of attacks that prove nothing might be taken for results."""
    return " (NOT VALID)" if record.attacked and not record.results["attack_suite"]["valid"] else ""


def _comparison(records):
    reference, rows = next(filter(lambda record: record.attacked, records), records[0]), []
    for index, record in enumerate(records, start=1):
        accuracy = record.results.get("accuracy", {})
        plain, protected = accuracy.get("plain"), accuracy.get("protected")
        sizes = record.results.get("bytes")
        rows.append(
            (
                f"{index}. {record.name}",
                verdict.method(record),
                verdict.short(record),
                "reference" if record is reference else _comparable(record, reference),
                tables.NONE if plain is None else share(plain),
                tables.NONE if protected is None else share(protected),
                *_leaks(record),
                tables.relative_cost(record.results),
                count(sizes["protected_png"]) if sizes else tables.NONE,
            )
        )
    columns = (
        *("run", "protected by", "verdict", "comparable"),
        *("plain", "protected", "SSIM reconstructed", "SSIM, class alone", "top-1", "by chance", "linked", "cost"),
        "PNG bytes",
    )
    text = (
        "One row a run. Plain and protected: accuracy of ψ. SSIM reconstructed and re-identification top-1: the "
        "strongest attack by each, with its range over seeds and its n; a small n is that of an attack on a sample of "
        "the test images. Linked: share of pictures whose two views are found to belong together. Cost: "
        "multiply-accumulates of h_θ as a share of those of ψ. PNG bytes: mean size of a protected "
        "image. Rows that do not compare had other data, another suite or another number of test images than the "
        "reference: their figures must not be set against its figures."
    )
    table = Table("The runs side by side", columns, tuple(rows), words=4)
    return Section("Comparison", (table, Paragraph(text), plots.accuracies(records), plots.runs(records)))


def _leaks(record):
    if not record.attacked:
        return (tables.NONE,) * 5
    results = record.results
    by_ssim, by_top1 = findings.strongest(results, SSIM), findings.strongest(results, TOP1)
    return (
        f"{spread(by_ssim['range'], ssim)}, {_n(by_ssim, results)}",
        ssim(SSIM.of(results["prior_only"]["label_only"])),
        f"{spread(by_top1['range'], share)}, {_n(by_top1, results)}",
        share(findings.chance(results, TOP1)),  # type: ignore[arg-type]  # there is one of this metric
        share(results["linkage"]["protected"]["top1"]) if "linkage" in results else tables.NONE,
    )


def _n(best, results):
    return f"n = {count(results['attacks'][best['attack']]['n'])}"


def _setting(record):
    """What two runs must share for their attacks to be compared."""
    suite = record.results.get("attack_suite", {"name": None, "evaluation_classifier": {"n": None}})
    return {
        "data": (record.run_dir.read_data() or record.config["dataset"], record.config["image_size"]),
        "suite": suite["name"],
        "test images": suite["evaluation_classifier"]["n"],
        "attackers": record.pairs_from,
    }


def _comparable(record, reference):
    setting, wanted = _setting(record), _setting(reference)
    other = [what for what in wanted if setting[what] != wanted[what]]
    if not record.attacked:
        return "no: not attacked" if "data" not in other else "no: other data; not attacked"
    return Alarm(f"NO: other {', '.join(other)}") if other else "yes"


def _subject(record, prefix):
    config = record.config
    if record.encryption:
        yield Paragraph(
            f"Pictures of {code(record.dataset)} were encrypted by {SCHEMES[record.encryption].help}, all "
            f"with one key; the classifier ψ ({code(record.classifier)}) was trained on encrypted pictures. A "
            "keyed method, to compare with; not the transformation network of this project."
        )
        yield Paragraph(
            "From whom: whoever sees encrypted pictures and does not hold the key. The attacker is taken to have pairs "
            "of plain and encrypted pictures of this key (T1), as anybody gets them who can have pictures encrypted."
        )
        return
    objective = OBJECTIVES[config["objective"]].description.format_map(config)
    yield Paragraph(
        f"Pictures of {code(record.dataset)} go through a transformation network h_θ on the device "
        f"({code(config['transform'])}, trained with {objective}), and only what comes out is sent, in 8 bits. The "
        f"classifier ψ ({code(record.classifier)}) in the cloud is meant to read its class. The aim is visual "
        "protection: that a person who sees the sent image does not recognise the plain one."
    )
    yield Paragraph(
        "From whom: whoever sees what is sent, on the way, in a log or beside ψ. There is no key. h_θ is public, so "
        "the attacker is taken to hold it (T1), to make any number of pairs of plain and protected images, and to "
        "train a network on them that reconstructs the picture."
    )
    if record.is_codebook:
        yield codewords.sheet(record, prefix)


def _accuracy(record):
    if "accuracy" not in record.results:
        yield Paragraph(f"Not evaluated. {code(f'bin/evaluate --run_dir={record.place}')} measures it.")
        return
    yield tables.accuracy(record.results, record.encryption)
    if record.is_codebook:
        yield Paragraph(certainty.device_alone(record))
    if "accuracy_by_bits" in record.results:
        yield from codes.blocks(record.results)
    yield from certainty.blocks(record)
    if "channels" in record.results:
        yield Details("After JPEG and a change of size", (tables.channels(record.results),))


def _attacks(record, prefix):
    results = record.results
    if record.attacked:
        yield tables.headline(results)
        yield plots.attacks(results, SSIM)
        yield plots.attacks(results, TOP1)
        if gallery := _reconstructed(record, prefix):
            yield gallery
        yield Details("All attacks, and who attacks", (tables.attacks(results), Paragraph(_who(record))))
        yield Details("Sanity checks: do the attacks work at all?", (tables.sanity_checks(results),))
        if others := tuple(_others(results)):
            yield Details("What else was measured", others)
        yield Details("Names of the attacks in results.json", (tables.attack_names(results),))
    else:
        yield Paragraph(f"Not measured; {code(f'bin/attack --run_dir={record.place}')} does it.")
    if "protection" in results:
        warning = "A low SSIM here is no protection by itself: look at the pictures, and at what attacks reconstruct."
        yield Details("The protected image, not attacked", (tables.protection(results), Paragraph(warning)))


def _reconstructed(record, prefix):
    best = findings.strongest(record.results, SSIM)["attack"]
    samples = record.samples(best)
    kind = names.plain(record.results["attacks"][best].get("attack", best))
    caption = (
        f"The strongest by SSIM, {kind}: test images at even distances in the order of their SSIM, from the worst "
        "reconstructed to the best."
    )
    return samples and galleries.reconstructed(caption, samples, prefix)


def _who(record):
    used = sorted({runs[0]["threat_model"] for runs in findings.attacks_by_kind(record.results).values()})
    words = "; ".join(f"{name}: the attacker holds {verdict.holds(record, name)}" for name in used)
    reader = record.results["attack_suite"]["evaluation_classifier"]
    return (
        f"{words}. The evaluation classifier, which finds the class, has {share(reader['plain'])} on plain and "
        f"{share(reader['protected'])} on protected images (n = {count(reader['n'])}); chance is "
        f"{share(1 / reader['n'])} for top-1 and {share(min(1, 5 / reader['n']))} for top-5."
    )


def _others(results):
    """What a suite measures besides reconstructed pictures; what this version does not know, as it stands."""
    if "linkage" in results:
        yield tables.linkage(results)
        yield Paragraph("Equal pictures are always linked: what protects is deterministic, so they come out equal.")
    if "attribute_inference" in results:
        yield tables.attribute_inference(results)
        yield Paragraph("The two last guesses look at no picture. What is read beyond them leaks besides the class.")
    if "brute_force" in results:
        yield tables.brute_force(results)
        yield Paragraph("Trying all keys finds a short key; it says nothing about an attacker who learns from pairs.")
    values = {name: result for name, result in results["attacks"].items() if "ssim" not in result}
    unknown = {name: value for name, value in results.items() if name not in Results.__annotations__}
    values |= {name: value for name, value in unknown.items() if isinstance(value, dict)}
    for name, measured in values.items():
        yield tables.listing(f"Also measured: {code(name)}", measured)


def _costs(record):
    results = record.results
    if "cost" in results:
        yield tables.cost(results)
        if record.encryption:
            yield Paragraph("A keyed method needs no network on the device.")
    else:
        yield Paragraph(f"Not measured; {code(f'bin/evaluate --run_dir={record.place}')} counts it.")
    if "bytes" in results:
        yield tables.transferred(results)
    else:
        yield Paragraph(
            f"Bytes sent: not measured; {code(f'bin/evaluate --run_dir={record.place}')} of this version does."
        )


def _making(record):
    suite = record.results.get("attack_suite")
    yield Commands(
        (
            f"bin/train --dataset={shlex.quote(record.dataset)} --run_dir={record.place}    # with the settings below",
            f"bin/evaluate --run_dir={record.place}",
            *((f"bin/attack --run_dir={record.place} --suite={suite['name']}{_options(record)}",) if suite else ()),
            f"bin/report --run_dir={record.place}",
        )
    )
    if not record.environment:
        yield Paragraph("Where it was trained is not known: environment.json is missing.")
    yield Details("Machines, versions and settings", tuple(_settings_and_machines(record)))


def _settings_and_machines(record):
    suite = record.results.get("attack_suite")
    if record.environment:
        yield tables.listing("Where it was trained", record.environment)
    if suite:
        attacked = {"suite": suite["name"], "seeds": findings.seeds(record.results)} | suite.get("environment", {})
        yield tables.listing("Where it was attacked, and with what", attacked)
    yield tables.listing(
        "Settings (config.json without folders); those of an objective that was not taken have no effect",
        _settings(record),
    )


def _options(record):
    """The flags of bin/attack that give the seeds in the results, and the attackers with other pictures."""
    seeds = findings.seeds(record.results)
    others = "".join(f" --pairs_from={shlex.quote(name)}" for name in record.pairs_from)
    return (f" --seed={seeds[0]} --repetitions={len(seeds)}" if seeds else "") + others


def _settings(record):
    shown = {name: value for name, value in record.config.items() if name != "data_dir"} | {"dataset": record.dataset}
    # Where something lies on the computer of whoever trained is nobody else's business.
    return shown | {name: pathlib.Path(shown[name]).name for name in concepts.paths() if shown.get(name)}
