"""What is read of a code, whatever its number of bits, and what that costs the cloud."""

from collections.abc import Iterator

from i2p_tf.hints import Values
from i2p_tf.report.blocks import Paragraph, Table
from i2p_tf.report.formats import count, millions, share


def blocks(results: Values) -> Iterator[Paragraph | Table]:
    """The accuracy by bits of a run that sends codes, and the cost of its reader."""
    yield _by_bits(results)
    yield Paragraph(_reader(results))


def _by_bits(results):
    """What is read of a code that is cut to fewer or more bits, by the same two networks."""
    measured, chosen = results["accuracy_by_bits"], str(results["bits"])
    rows = [
        (f"{bits}, as the run sends" if bits == chosen else bits, share(accuracy), count(measured["n"]))
        for bits, accuracy in measured.items()
        if bits != "n"
    ]
    return Table("Accuracy of the reader, by the bits of a code that are sent", ("bits", "accuracy", "n"), tuple(rows))


def _reader(results):
    """The cost of the reader, which is the same for all numbers of bits."""
    costs = results.get("cost", {})
    text = "The device computes the whole code once and sends its first bits; the cloud reads them with one network"
    if "reader_parameters" not in costs:
        return f"{text}."
    macs = costs["reader_macs"]
    written = "an unknown number of" if macs is None else f"{millions(macs)} million"
    return (
        f"{text}, of {written} MACs an image and {count(costs['reader_parameters'])} parameters, whatever their number."
    )
