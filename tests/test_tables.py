"""A table of rows by name."""

import dataclasses

import pytest

from i2p_tf import tables
from i2p_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    help: str = ""
    build: object = None


def test_a_row_is_found_by_its_name():
    table = tables.Table("shape", [Row("circle"), Row("square")])
    assert table.find("square") is table["square"]
    assert list(table) == ["circle", "square"]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown shape 'sqare'; allowed: circle, square. Did you mean square?"):
        tables.Table("shape", [Row("circle"), Row("square")]).find("sqare")


def test_a_name_is_taken_once():
    table = tables.Table("shape", [Row("circle")])
    with pytest.raises(ValueError, match="already"):
        table.register(Row("circle"))


def test_a_reference_is_imported_when_it_is_needed():
    assert tables.load("i2p_tf.errors:InputError") is InputError
    assert tables.load(len) is len
