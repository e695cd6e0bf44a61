"""Tables: what there is of each concept, by name. Flags, checks, reports, exports and documentation read them.

A row is a frozen dataclass with a `name` and a `help` text. It says where its parts are (`"module:function"`), and they
are imported when they are needed, so that a command can check its flags before it loads TensorFlow. Another package
adds a row by `register`; the rows of this one stand in the file of the concept's table.
"""

import dataclasses
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from i2p_tf import checks
from i2p_tf.errors import unknown_name


class _Row(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


Row = TypeVar("Row", bound=_Row)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A setting that the entries of a table have, where others have none.

    Attributes:
        name: of the field of a `Config` and of the flag.
        default: the value where none is given; its type is that of all values: a text, a truth value, an integer or a
            number.
        help: what it sets, in a line.
        allowed: the words or integers, if it is one of some.
        file: whether it may be the path of a file instead of one of the words.
        minimum, maximum: of a number; no `maximum` stands for any.
        zero: whether a number may be 0.
    """

    name: str
    default: object
    help: str
    allowed: tuple = ()
    file: bool = False
    minimum: float = 0
    maximum: float | None = None
    zero: bool = True

    def check(self, value: Any) -> None:
        """Raises an `InputError` unless the value is one that it may have."""
        if self.allowed and isinstance(self.default, int):
            checks.member(self.name, value, self.allowed)
        elif isinstance(self.default, bool):
            checks.truth(self.name, value)
        elif isinstance(self.default, int):
            checks.integer(
                self.name, value, self.minimum, checks.LARGEST_INTEGER if self.maximum is None else self.maximum
            )
        elif isinstance(self.default, float):
            checks.number(self.name, value, self.minimum, self.maximum, self.zero)
        elif self.allowed and not self.file:
            checks.choice(self.name, value, self.allowed)
        else:
            checks.text(self.name, value)


class Table(Mapping[str, Row]):
    """The rows of one concept in the order in which they were registered.

    Args:
        concept: what a row is, for messages: "transform", "attack".
        rows: the first ones.
    """

    def __init__(self, concept: str, rows: Iterable[Row] = ()) -> None:
        self.concept = concept
        self._rows: dict[str, Row] = {}
        for row in rows:
            self.register(row)

    def register(self, row: Row) -> Row:
        """Adds a row and returns it; `ValueError` if its name is taken."""
        if row.name in self._rows:
            raise ValueError(f"there is a {self.concept} called {row.name!r} already")
        self._rows[row.name] = row
        return row

    def find(self, name: str) -> Row:
        """The row of a name that a user gave; `InputError`, with the nearest name, if there is none."""
        if name not in self._rows:
            raise unknown_name(self.concept, name, tuple(self._rows))
        return self._rows[name]

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def load(reference: Any) -> Any:
    """What a row refers to by `"module:name"`; anything else is returned as it is."""
    if not isinstance(reference, str):
        return reference
    module, name = reference.split(":")
    return getattr(importlib.import_module(module), name)
