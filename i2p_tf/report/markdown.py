"""A report as Markdown, with its pictures as files beside it."""

import re

from i2p_tf.report.blocks import Commands, Gallery, Notice, Paragraph, Plot, Points, Table


def render(report, folder):
    """The text of the file.

    Args:
        report: a `blocks.Report`.
        folder: where its pictures lie, relative to the file.
    """
    parts = [f"# {_text(report.title)}"]
    for section in report.sections:
        parts.append(f"{'#' * section.level} {_text(section.title)}")
        parts += [_RENDERERS[type(block)](block, folder) for block in section.blocks if type(block) is not Plot]
    return "\n\n".join(parts) + "\n"


def _paragraph(block, folder):
    return _text(block.text)


def _notice(block, folder):
    title = f"**{_text(block.title)}**"
    return "\n>\n".join(f"> {line}" for line in (title, *map(_text, block.texts)))


def _points(block, folder):
    return "\n".join(f"- {_text(item)}" for item in block.items)


def _commands(block, folder):
    return "\n".join(f"    {line}" for line in block.lines)


def _table(block, folder):
    rules = ["---" if index < block.words else "---:" for index in range(len(block.columns))]
    rows = [tuple(map(_cell, block.columns)), tuple(rules), *(tuple(map(_cell, row)) for row in block.rows)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"**{_text(block.caption)}**\n\n{lines}"


def _gallery(block, folder):
    rows = "From above: " + ", ".join(block.pictures[0].rows) + "."
    titles = " | ".join(_text(picture.title) for picture in block.pictures)
    rules = " | ".join("---" for _ in block.pictures)
    images = " | ".join(f"![{_text(picture.alternative)}]({folder}/{picture.name})" for picture in block.pictures)
    return f"{_text(block.caption)} {rows}\n\n| {titles} |\n| {rules} |\n| {images} |"


_RENDERERS = {
    Paragraph: _paragraph,
    Notice: _notice,
    Points: _points,
    Commands: _commands,
    Table: _table,
    Gallery: _gallery,
}


def _cell(text):
    return _text(text).replace("|", r"\|")


def _text(text):
    """Text in which nothing but `names` is markup; names stand as they are."""
    parts = re.split("(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") and len(part) > 1 else re.sub(r"([\\*_\[\]<>#`])", r"\\\1", part) for part in parts
    )
