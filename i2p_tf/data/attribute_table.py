"""Attributes of the pictures of a folder besides their class: `attributes.csv` in that folder.

The first line names the columns: `file`, the path of a picture relative to the folder, then one for each attribute.
"""

import csv

from i2p_tf.errors import InputError

FILE = "attributes.csv"


def names(root):
    """Names of the attributes; none where the folder has no such file.

    Raises:
        InputError: if the first line is not as it has to be, or the file can't be read.
    """
    path = root / FILE
    return tuple(_lines(path)[0][1][1:]) if path.is_file() else ()


def column(root, name):
    """One attribute: a dictionary of paths, relative to `root`, to values, both strings.

    Raises:
        InputError: if a line is not as it has to be, or a file has two.
    """
    (_, header), *lines = _lines(root / FILE)
    index, values = header.index(name), {}
    for number, row in lines:
        if len(row) != len(header) or not row[index]:
            raise InputError(f"{root / FILE}, line {number}: must have {len(header)} values. Received: {row}")
        if row[0] in values:
            raise InputError(f"{root / FILE}, line {number}: {row[0]!r} has a line already")
        values[row[0]] = row[index]
    return values


def _lines(path):
    """Line numbers and values of all lines that are not blank, the header's first."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    header = lines[0][1] if lines else [""]
    if header[0] != "file" or len(set(header)) != len(header) or not all(map(_is_name, header)):
        raise InputError(f"{path} must begin with the line file,ATTRIBUTE,... Received: {','.join(header)!r}")
    return lines


def _is_name(text):
    return text and "/" not in text  # results are kept in files of that name
