"""A report as Markdown, with its pictures as files beside it."""

import re

from i2p_tf.report.blocks import (
    Commands,
    Details,
    Figures,
    Gallery,
    Notice,
    Paragraph,
    Plot,
    Points,
    Report,
    Sheet,
    Table,
)

SHEET_COLUMNS = 5


def render(report: Report, folder: str) -> str:
    """The text of the file.

    Args:
        report: a `blocks.Report`.
        folder: where its pictures lie, relative to the file.
    """
    parts = [f"# {_text(report.title)}"]
    for section in report.sections:
        parts.append(f"{'#' * section.level} {_text(section.title)}")
        parts += _rendered(section.blocks, folder)
    return "\n\n".join(parts) + "\n"


def _rendered(blocks, folder):
    return [_RENDERERS[type(block)](block, folder) for block in blocks if type(block) is not Plot]


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


def _figures(block, folder):
    return "\n".join(f"- **{_text(figure.value)}** {_text(figure.text)}" for figure in block.items)


def _details(block, folder):
    """Unfolded, as Markdown has nothing to fold."""
    return "\n\n".join([f"**{_text(block.title)}**", *_rendered(block.blocks, folder)])


def _gallery(block, folder):
    titles = [
        f"{picture.title} (from above: {', '.join(picture.rows)})" if picture.rows else picture.title
        for picture in block.pictures
    ]
    return f"{_text(block.caption)}\n\n{_pictures(block.pictures, titles, folder)}"


def _sheet(block, folder):
    titles = [picture.title for picture in block.pictures]
    starts = range(0, len(titles), SHEET_COLUMNS)
    lines = [
        _pictures(block.pictures[start : start + SHEET_COLUMNS], titles[start : start + SHEET_COLUMNS], folder)
        for start in starts
    ]
    return "\n\n".join([_text(block.caption), *lines])


def _pictures(pictures, titles, folder):
    """A table of one row of pictures under their titles."""
    images = [f"![{_cell(picture.alternative)}]({folder}/{picture.name})" for picture in pictures]
    rows = (map(_cell, titles), ["---"] * len(pictures), images)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_RENDERERS = {
    Paragraph: _paragraph,
    Notice: _notice,
    Points: _points,
    Commands: _commands,
    Table: _table,
    Gallery: _gallery,
    Sheet: _sheet,
    Figures: _figures,
    Details: _details,
}


def _cell(text):
    return _text(text).replace("|", r"\|")


def _text(text):
    """Text in which nothing but `names` is markup; names stand as they are."""
    parts = re.split("(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") and len(part) > 1 else re.sub(r"([\\*_\[\]<>#`])", r"\\\1", part) for part in parts
    )
