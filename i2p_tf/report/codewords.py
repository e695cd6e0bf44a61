"""What is certain of a codebook without any measurement, and its pictures."""

import math
from typing import Any

from i2p_tf import confidence
from i2p_tf.report import galleries
from i2p_tf.report.blocks import Paragraph
from i2p_tf.report.formats import code, count
from i2p_tf.report.record import Record


def guarantee(record: Record) -> str:
    """What holds by construction, in one paragraph."""
    words = record.results.get("codewords")
    number, bits = "as many fixed pictures as there are classes", ""
    if words:
        number, bits = f"{count(words)} fixed pictures", f" ({math.log2(words):.2f} bits at most)"
    return (
        f"By construction: whatever the picture, what is sent is one of {number}, the one of the class that the device "
        f"has chosen. Nothing but that class{bits} can be read from it, by whatever attack; that needs no measurement. "
        "The class itself is not hidden."
    )


def sheet(record: Record, prefix: str) -> Any:
    """All pictures that can be sent, each with its class; where they are not there, how to get them."""
    row = record.codewords()
    names = record.results.get("confusion", {}).get("classes", [])
    words = record.results.get("codewords", 0)
    caption = "All that is ever sent: the picture of each class"
    if words > confidence.MOST_CLASSES:
        caption = f"What is sent for the first {confidence.MOST_CLASSES} of {count(words)} classes"
    block = row and galleries.sheet(caption, row, names, prefix)
    return block or Paragraph(
        f"The pictures of the codebook are not there; {code(f'bin/evaluate --run_dir={record.place}')} of this "
        "version writes them."
    )
