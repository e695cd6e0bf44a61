"""Attributes of the pictures of a folder besides their class: `attributes.csv` in that folder.

The first line names the columns: `file`, the path of a picture relative to the folder, then one for each attribute.
Commas, semicolons or tabs separate them, whichever stands behind `file`; the text is UTF-8, or what begins with the
mark of UTF-16. Paths may have backslashes.
"""

import codecs
import csv
import io
import pathlib
import re
import unicodedata

from i2p_tf.errors import InputError, printable

FILE = "attributes.csv"
_BEGINNING = re.compile(r'\s*"?file"? *([,;\t])', re.IGNORECASE)


def names(folder: pathlib.Path) -> tuple[str, ...]:
    """Names of the attributes; none where the folder, a path that may begin with `~`, has no such file.

    Raises:
        InputError: if the first line is not as it has to be, or the file can't be read.
    """
    path = pathlib.Path(folder).expanduser() / FILE
    return tuple(_lines(path)[0][1][1:]) if path.is_file() else ()


def column(root: pathlib.Path, name: str) -> dict[str, str]:
    """One attribute: a dictionary of `key`s of paths, relative to `root`, to values, both strings.

    Raises:
        InputError: if a line is not as it has to be, or a file has two.
    """
    (_, header), *lines = _lines(root / FILE)
    index, values = header.index(name), {}
    for number, row in lines:
        if len(row) != len(header) or not row[index]:
            raise InputError(
                f"{printable(root / FILE)}, line {number}: must have {len(header)} values. Received: {row}"
            )
        file = key(_with_slashes(root, row[0]))
        if file in values:
            raise InputError(f"{printable(root / FILE)}, line {number}: {row[0]!r} has a line already")
        values[file] = row[index]
    return values


def key(path: str | pathlib.PurePath) -> str:
    """A relative path in the one form in which the table and the folder can be compared."""
    return unicodedata.normalize("NFC", pathlib.PurePosixPath(path).as_posix())


def _with_slashes(root, path):
    """The path with slashes; backslashes stay where the name of a file has them."""
    return path if "\\" not in path or (root / path).exists() else path.replace("\\", "/")


def _lines(path):
    """Line numbers and values of all lines that are not blank, the header's first."""
    text = _text(path)
    beginning = _BEGINNING.match(text)
    delimiter = beginning[1] if beginning else ","
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{printable(path)} cannot be read: {error}") from error
    header = lines[0][1] if lines else [""]
    if header[0].lower() != "file" or len(set(header)) != len(header) or not all(map(_is_name, header)):
        raise InputError(
            f"{printable(path)} must begin with the line file,ATTRIBUTE,... Received: {delimiter.join(header)!r}"
        )
    return lines


def _text(path):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read: {error.strerror}") from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except ValueError as error:
        raise InputError(f"{printable(path)} is not UTF-8; save it as CSV in UTF-8 ({error})") from error
    if "\0" in text:
        raise InputError(f"{printable(path)} is not UTF-8; save it as CSV in UTF-8 (it has a zero byte)")
    return text


def _is_name(text):
    return text and "/" not in text  # results are kept in files of that name
