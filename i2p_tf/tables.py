"""Tables: what there is of each concept, by name. Flags, checks, reports, exports and documentation read them.

A row is a frozen dataclass with a `name` and a `help` text. It says where its parts are (`"module:function"`), and they
are imported when they are needed, so that a command can check its flags before it loads TensorFlow. Another package
adds a row by `register`; the rows of this one stand in the file of the concept's table.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from i2p_tf.errors import unknown_name


class _Row(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


Row = TypeVar("Row", bound=_Row)


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
