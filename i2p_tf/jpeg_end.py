"""JPEG files that have lost their end marker, the last two bytes: nothing of the picture is missing then.

Decoders want more bytes all the same, and would take any number of missing pixels for grey if they got the marker. So
what is there is decoded with several endings: where the picture is whole, they don't matter.
"""

from collections.abc import Iterator
from typing import Any

START = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_RESTARTS = b"".join(bytes([0xFF, 0xD0 + number]) + b"\x33\x66\x99\xcc\x5a" for number in range(8))
_FILLINGS = (b"", b"\x55" * 64 + _RESTARTS, b"\xaa" * 64 + _RESTARTS, b"\x33\x66\x99\xcc\x5a" * 20 + _RESTARTS)
_SCAN = 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)  # with Huffman codes: what Pillow reads
_WITHOUT_LENGTH = (0x00, *range(0xD0, 0xD9), 0xFF)  # no marker but data, restarts, the start, filling
_COEFFICIENTS = 64


def completions(content: bytes) -> Iterator[bytes]:
    """The file with several endings, all of which give the same pixels if no more than the marker is missing.

    Args:
        content: the bytes of a file.

    Yields:
        Bytes; nothing where the file is no JPEG or ends before the last of its scans.
    """
    if content.startswith(START) and _has_all_scans(content):
        for filling in _FILLINGS:
            yield content.rstrip(b"\xff") + filling + _END


def _has_all_scans(content):
    """Whether every coefficient of every component has come with its last bit."""
    components = 0
    exact: dict[Any, Any] = {}
    for marker, segment in _segments(content):
        if marker in _FRAMES and len(segment) > 5:
            components = segment[5]
        if marker == _SCAN and segment and len(segment) >= 2 * segment[0] + 4:
            names, (first, last, bits) = segment[1 : 2 * segment[0] + 1 : 2], segment[-3:]
            if bits & 0xF == 0:
                for name in names:
                    exact.setdefault(name, set()).update(range(first, last + 1))
    return 0 < components == sum(len(coefficients) == _COEFFICIENTS for coefficients in exact.values())


def _segments(content):
    """Yields the markers that have a length, and what follows it; the data of a scan have no marker inside."""
    place = content.find(b"\xff")
    while 0 <= place < len(content) - 3:
        marker = content[place + 1]
        end = place + 1
        if marker not in _WITHOUT_LENGTH:
            end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
            yield marker, content[place + 4 : end]
        place = content.find(b"\xff", end)
