"""What `bin/tradeoff` has measured of a code: a table and a picture over bits."""

from collections.abc import Iterator, Sequence

from i2p_tf.hints import Values
from i2p_tf.report import galleries, tables
from i2p_tf.report.blocks import Paragraph, Table
from i2p_tf.report.formats import count, percent, share, ssim
from i2p_tf.report.record import Record

_CAPTION = "Accuracy and leakage by the number of bits that are sent"
_COLUMNS = {
    "bits": ("bits", count),
    "protected": ("protected", share),
    "device_only": ("device alone", share),
    "gain": ("gain", lambda value: f"{value:+.4f}"),
    "strongest_ssim": ("SSIM attacked", ssim),
    "class_alone_ssim": ("class alone", ssim),
    "ceiling_ssim": ("ceiling", ssim),
    "leakage": ("leakage", percent),
    "reidentification_top1": ("top-1 found", share),
    "linkage": ("linked", share),
    "png_bytes": ("PNG bytes", count),
    "n": ("n", count),
}
_TEXT = (
    "Device alone: the accuracy of the best classifier that costs the device no more than the encoder, trained alike. "
    "Gain: what the cloud reads beyond it. Class alone: the SSIM of what is drawn from the right class and nothing "
    "else. Ceiling: of pictures that an encoder of the same cost sends in as many bits when it is made for that. "
    "Leakage: where the strongest attack stands between the two. Top-1 found, linked: of 2,000 test images at most."
)


def blocks(record: Record, prefix: str) -> Iterator:
    """Yields the blocks of a `record.Record` with a `tradeoff`."""
    yield from table(record.tradeoff)
    if picture := record.tradeoff_picture():
        title = "Accuracy, and mean SSIM of what is reconstructed, over bits"
        yield galleries.whole(_CAPTION, title, picture, f"{prefix}{galleries.TRADEOFF}.png")


def table(rows: Sequence[Values]) -> Iterator:
    """Yields a table of the rows of a trade-off, with their range over seeds where there are several, and its words."""
    cells = tuple(tuple(_cell(row, key, written) for key, (_, written) in _COLUMNS.items()) for row in rows)
    yield Table(_CAPTION, tuple(title for title, _ in _COLUMNS.values()), cells)
    yield Paragraph(_TEXT)


def _cell(row, key, written):
    if row.get(key) is None:  # bytes were not measured from the beginning
        return tables.NONE
    ends = row.get("range", {}).get(key)
    spread = f" ({written(ends[0])} to {written(ends[1])})" if ends and ends[0] < ends[1] else ""
    return written(row[key]) + spread
