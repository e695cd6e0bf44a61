"""Tables: what there is of each concept, by name. Flags, checks, reports, exports and documentation read them.

A row is a frozen dataclass with a `name` and a `help` text. It says where its parts are (`"module:function"`), and they
are imported when they are needed, so that a command can check its flags before it loads TensorFlow. Another package
adds a row by `register`; the rows of this one stand in the file of the concept's table.
"""

import collections.abc
import importlib

from i2p_tf.errors import unknown_name


class Table(collections.abc.Mapping):
    """The rows of one concept in the order in which they were registered.

    Args:
        concept: what a row is, for messages: "transform", "attack".
        rows: the first ones.
    """

    def __init__(self, concept, rows=()):
        self.concept = concept
        self._rows = {}
        for row in rows:
            self.register(row)

    def register(self, row):
        """Adds a row and returns it; `ValueError` if its name is taken."""
        if row.name in self._rows:
            raise ValueError(f"there is a {self.concept} called {row.name!r} already")
        self._rows[row.name] = row
        return row

    def find(self, name):
        """The row of a name that a user gave; `InputError`, with the nearest name, if there is none."""
        if name not in self._rows:
            raise unknown_name(self.concept, name, tuple(self._rows))
        return self._rows[name]

    def __getitem__(self, name):
        return self._rows[name]

    def __iter__(self):
        return iter(self._rows)

    def __len__(self):
        return len(self._rows)


def load(reference):
    """What a row refers to by `"module:name"`; anything else is returned as it is."""
    if not isinstance(reference, str):
        return reference
    module, name = reference.split(":")
    return getattr(importlib.import_module(module), name)
