"""Recorded trade-offs (`tradeoff.json`) as one page: a section for each, generated so that no figure is typed."""

from collections.abc import Callable
from typing import Any

from i2p_tf.errors import InputError
from i2p_tf.hints import Values
from i2p_tf.report import galleries, tables, tradeoff
from i2p_tf.report.blocks import Commands, Paragraph, Report, Section, Table
from i2p_tf.report.formats import code, count, millions, share, ssim

TITLE = "What codes are worth, measured"
_INTRODUCTION = (
    "Each section is one code, measured by `bin/tradeoff` and made from the JSON file of its name; "
    "`bin/tradeoff --page=FOLDER` writes this page anew. Encoders of one name differ between commits; the page on "
    "codes says which are of today. Nothing here is a promise: attackers that were not tried, or that train longer, "
    "may get more."
)


def page(recorded: dict[str, Values], draw: Callable[[list], Any]) -> Report:
    """The page of recorded trade-offs.

    Args:
        recorded: contents of each file, as `tradeoff.curve.curve` or `tradeoff.average.average` gives them, by name.
        draw: rows to their picture, as `tradeoff.picture.draw`.

    Returns:
        A `blocks.Report`, whose pictures are `NAME.png`.

    Raises:
        InputError: if a file has another form.
    """
    sections = []
    for name, measured in recorded.items():
        try:
            sections.append(Section(_title(measured["rows"][0]), tuple(_blocks(name, measured, draw))))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{name}.json is no trade-off that bin/tradeoff has written: {error!r}") from None
    return Report(TITLE, (Section("How to read it", (Paragraph(_INTRODUCTION),)), *sections))


def _title(row):
    transform = row["config"].get("transform", "a code")
    return f"{row['dataset']}, {row['classifier']}, `{transform}` ({millions(row['client_macs'])} MMAC)"


def _blocks(name, measured, draw):
    rows, environment = measured["rows"], measured["environment"]
    first = rows[0]
    yield Paragraph(
        f"The device computes {millions(first['client_macs'])} MMAC, {first['client_macs'] / first['psi_macs']:.3f} of "
        f"the classifier's {millions(first['psi_macs'])}. Plain pictures: {share(first['plain'])}, "
        f"n = {count(first['n'])}. Training seeds: {', '.join(map(str, first['seeds']))}. Attackers and "
        f"ceiling: {count(first['steps'])} steps each; the networks of the device alone, as long as the code."
    )
    yield Commands((first["command"],))
    yield galleries.whole("Accuracy and leakage over bits", _title(first), draw(rows), f"{name}.png")
    yield from tradeoff.table(rows)
    for index, alone in enumerate(_each(measured["device_only"])):
        yield _device_only(alone, first["seeds"][index])
    yield _attackers(rows)
    yield Paragraph(_checks(measured["sanity_checks"]["failed"]))
    yield Paragraph(
        f"{environment['processor']}, {environment['cores']} cores, "
        f"TensorFlow {environment['packages']['tensorflow']}, "
        f"Keras {environment['packages']['keras']}, commit {environment['commit']}."
    )


def _each(one_or_several):
    return one_or_several if isinstance(one_or_several, list) else [one_or_several]


def _device_only(alone, seed):
    """Every baseline; the one that counts is the best on validation images."""
    rows = tuple(
        (
            f"{code(name)}, counts" if name == alone["best"] else code(name),
            share(network["accuracy"]),
            share(network["validation_accuracy"]),
            tables.UNKNOWN if network["macs"] is None else millions(network["macs"]),
            count(network["parameters"]),
        )
        for name, network in alone["networks"].items()
    )
    columns = ("network", "test", "validation", "MMAC", "parameters")
    return Table(f"The device alone, seed {seed}", columns, rows)


def _attackers(rows):
    """Mean SSIM of each attacker by bits; of several seeds the highest."""
    names = tuple(rows[0]["attacks"])
    cells = tuple(
        (count(row["bits"]), *(ssim(max(result["ssim"] for result in _each(row["attacks"][name]))) for name in names))
        for row in rows
    )
    return Table("Mean SSIM of what each attacker reconstructs", ("bits", *map(code, names)), cells)


def _checks(failed):
    if failed:
        return f"Not valid: sanity checks failed ({'; '.join(failed)})."
    return (
        "Sanity checks passed: the attackers reconstruct the ceiling's codes beyond the class alone, and get nothing "
        "from codes that are all the same."
    )
