"""How sure ψ is and where it errs: calibration, rejection, classes; and what of it a codebook makes meaningless."""

from collections.abc import Iterator
from typing import Any

from i2p_tf import confidence
from i2p_tf.report.blocks import Details, Paragraph, Shaded, Table
from i2p_tf.report.formats import code, count, share
from i2p_tf.report.record import Record

KINDS = {"plain": "sent plain", "protected": "protected"}
MOST_COLUMNS = 20  # of a matrix that can still be read
NONE = "–"


def blocks(record: Record) -> Iterator[Any]:
    """The blocks on confidence and on single classes."""
    results = record.results
    if "confidence" in results:
        yield _confidence(results["confidence"])
        yield Paragraph(_meaning(record))
    else:
        yield Paragraph(
            f"Confidence: not measured; {code(f'bin/evaluate --run_dir={record.place}')} of this version does."
        )
    if "confusion" in results:
        yield Details("Class by class, and what is taken for what", tuple(_classes(results["confusion"])))


def device_alone(record: Record) -> str:
    """What the accuracy of a codebook is, and whose."""
    words = record.results.get("codewords")
    entries = f"{count(words)} entries, one for each picture" if words else "one entry for each picture"
    return (
        "The accuracy on protected pictures is the device's own: the network on it has chosen the class before "
        "anything is sent, and ψ can't be right where it is wrong. To map the pictures that are sent to labels needs "
        f"no ψ: a table of {entries}, does it."
    )


def _confidence(measured):
    rows = [("expected calibration error", *_values(measured, "expected_calibration_error"))]
    if "accuracy_top5" in measured["plain"]:
        rows.append(("top-5 accuracy", *_values(measured, "accuracy_top5")))
    for part in measured["plain"]["rejection"]:
        title = "accuracy on all" if float(part) == 1 else f"accuracy on the most confident {100 * float(part):g}%"
        rows.append((title, *(share(measured[kind]["rejection"][part]) for kind in KINDS)))
    n = count(measured["n"])
    return Table("Confidence: what ψ's probabilities are worth", ("figure", *KINDS.values(), "n"), _with(rows, n))


def _values(measured, key):
    return (share(measured[kind][key]) for kind in KINDS)


def _with(rows, n):
    return tuple((*row, n) for row in rows)


def _meaning(record):
    if record.is_codebook:
        return (
            "On protected pictures the probabilities carry no confidence: each is a constant of the picture that is "
            "sent, whatever was photographed. No threshold on them tells a sure answer from a doubtful one, and what "
            "follows the first label means nothing."
        )
    return (
        f"The expected calibration error is the mean distance of probability and accuracy, over {confidence.BINS} "
        "equal bins of the highest probability; 0 is best. Where confidence is worth something, the accuracy rises as "
        "doubtful answers are left out."
    )


def _share_or_none(value):
    return NONE if value is None else share(value)


def _classes(confusion):
    """Accuracy by class and, of not too many classes, both matrices."""
    shares = {kind: confidence.accuracy_by_class(confusion[kind]) for kind in KINDS}
    rows = [
        (name, _mistaken(confusion, index))
        + tuple(_share_or_none(shares[kind][index]) for kind in KINDS)
        + (count(sum(confusion["protected"][index])),)
        for index, name in enumerate(confusion["classes"])
    ]
    columns = ("class", "protected, most often taken for", *KINDS.values(), "n")
    yield Table("Accuracy of each class", columns, tuple(rows), words=2)
    if len(confusion["classes"]) <= MOST_COLUMNS:
        yield from (_matrix(confusion, kind) for kind in reversed(KINDS))


def _mistaken(confusion, index):
    others = [0 if column == index else value for column, value in enumerate(confusion["protected"][index])]
    most = max(others)
    return f"{confusion['classes'][others.index(most)]} ({count(most)})" if most else NONE


def _matrix(confusion, kind):
    names = confusion["classes"]
    rows = []
    for name, counts in zip(names, confusion[kind], strict=True):
        total = sum(counts) or 1
        rows.append((name, *(Shaded(count(value), value / total) for value in counts)))
    return Table(
        f"Confusion matrix, {KINDS[kind]}: pictures of the class, by what ψ reads", ("class", *names), tuple(rows)
    )
