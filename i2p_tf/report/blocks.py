"""What a report is made of. Both renderers take these; text marks names with `backticks` and nothing else."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """One paragraph of text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Notice:
    """What must not be overlooked: a title and paragraphs. `alarm` is for what makes figures worthless."""

    title: str
    texts: tuple[str, ...]
    alarm: bool = False


@dataclasses.dataclass(frozen=True)
class Points:
    """A list of short texts."""

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    lines: tuple[str, ...]


class Alarm(str):
    """A cell of a table that must not be overlooked."""


class Shaded(str):
    """A cell of a table with a ground as dark as its `share`, in [0, 1]."""

    share: float

    def __new__(cls, text: str, share: float) -> "Shaded":
        cell = super().__new__(cls, text)
        cell.share = share
        return cell


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text under columns; the first cell of a row is its heading.

    Attributes:
        caption: what the table shows.
        columns: headings.
        rows: tuples as long as `columns`.
        words: how many columns hold words; the rest are numbers, which are set flush right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclasses.dataclass(frozen=True)
class Dot:
    """One row of a plot: a value, its range over seeds, and what it has to be compared with.

    Attributes:
        name: of the row.
        value: the number.
        text: the number as the tables have it.
        range: lowest and highest.
        marks: numbers by the name of the mark; at most three different names in a plot.
    """

    name: str
    value: float
    text: str
    range: tuple[float, float]
    marks: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Plot:
    """Dots on one scale from `low` to `high`. It shows no number that a table doesn't have: HTML alone draws it.

    `measured` says in the legend what the dots are.
    """

    caption: str
    low: float
    high: float
    dots: tuple[Dot, ...]
    measured: str = "strongest seed"

    @property
    def has_ranges(self) -> bool:
        """Whether there are several seeds that differ."""
        return any(low < high for low, high in (dot.range for dot in self.dots))

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of all marks, in order."""
        return tuple(dict.fromkeys(name for dot in self.dots for name in dot.marks))


@dataclasses.dataclass(frozen=True)
class Picture:
    """Rows of images in one PNG file.

    Attributes:
        name: of the file, without folder.
        png: its contents.
        title: which images these are.
        rows: what the rows show, from above.
        width, height: in pixels.
    """

    name: str
    png: bytes
    title: str
    rows: tuple[str, ...]
    width: int
    height: int

    @property
    def alternative(self) -> str:
        """For who can't see the picture."""
        return f"{self.title}; from above: {', '.join(self.rows)}" if self.rows else self.title


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Pictures beside each other."""

    caption: str
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Many small pictures of one row, each under its title."""

    caption: str
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number in large type, and the sentence that says what it is."""

    value: str
    text: str


@dataclasses.dataclass(frozen=True)
class Figures:
    """What to remember of the report."""

    items: tuple[Figure, ...]


@dataclasses.dataclass(frozen=True)
class Details:
    """Blocks that are folded away behind their title."""

    title: str
    blocks: tuple


@dataclasses.dataclass(frozen=True)
class Section:
    """Blocks under a heading of level 2 or 3."""

    title: str
    blocks: tuple
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Report:
    """The whole page."""

    title: str
    sections: tuple[Section, ...]

    @property
    def blocks(self) -> list:
        """All blocks in their order, folded ones too."""
        return [inner for section in self.sections for block in section.blocks for inner in _unfolded(block)]

    @property
    def pictures(self) -> list[Picture]:
        """All pictures in it."""
        galleries = [block for block in self.blocks if isinstance(block, Gallery | Sheet)]
        return [picture for gallery in galleries for picture in gallery.pictures]


def _unfolded(block):
    yield block
    if isinstance(block, Details):
        for inner in block.blocks:
            yield from _unfolded(inner)
