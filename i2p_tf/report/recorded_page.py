"""A page of recorded measurements: README.md, and its pictures, beside the JSON files that it is made of."""

import pathlib

from i2p_tf.errors import InputError
from i2p_tf.files import write_atomically
from i2p_tf.report import markdown
from i2p_tf.report.blocks import Report


def records(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """The files NAME.json of a folder, by name.

    Raises:
        InputError: if there is none.
    """
    found = sorted(pathlib.Path(folder).glob("*.json"))
    if not found:
        raise InputError(f"--page={folder} holds no recorded measurements, NAME.json")
    return found


def write(report: Report, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes a page and its pictures, the page last; returns its path."""
    page = pathlib.Path(folder, "README.md")
    contents = {page.with_name(picture.name): picture.png for picture in report.pictures}
    contents[page] = markdown.render(report, ".").encode()
    for path, content in contents.items():
        with write_atomically(path) as temporary:
            temporary.write_bytes(content)
    return page
