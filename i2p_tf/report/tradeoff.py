"""What `bin/tradeoff` has measured of a code: a table and a picture over bits."""

from collections.abc import Iterator

from i2p_tf.report import galleries, tables
from i2p_tf.report.blocks import Paragraph, Table
from i2p_tf.report.formats import count, percent, share, ssim
from i2p_tf.report.record import Record

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
    rows = tuple(
        tuple(tables.NONE if row[key] is None else written(row[key]) for key, (_, written) in _COLUMNS.items())
        for row in record.tradeoff
    )
    caption = "Accuracy and leakage by the number of bits that are sent"
    yield Table(caption, tuple(title for title, _ in _COLUMNS.values()), rows)
    yield Paragraph(_TEXT)
    if picture := record.tradeoff_picture():
        title = "Accuracy, and mean SSIM of what is restored, over bits"
        yield galleries.whole(caption, title, picture, f"{prefix}{galleries.TRADEOFF}.png")
