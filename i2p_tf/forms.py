"""What comes out of a JSON file, against the form that it has to have."""

import sys
import types
import typing
from typing import Any

Count = typing.NewType("Count", int)  # above 0, as what is divided by is

_NAMES = {
    float: "a finite number",
    Count: "a number above 0",
    int: "a whole number",
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def require(value: Any, form: Any, place: str | None) -> None:
    """Raises a `ValueError`, which says where, if a value lacks something of a form; it may have more.

    Args:
        value: what `json.load` gives.
        form: a type: `float` (finite), `Count`, `bool`, `str`, `list`, `list[...]`, `dict`, `dict[str, ...]`, a
            `TypedDict`, or one of them `| None`; or a dictionary of forms, all of whose keys must be there.
        place: of the value, for the message; empty for the file itself.
    """
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin in (types.UnionType, typing.Union):  # or None
        if value is not None:
            require(value, arguments[0], place)
        return
    by_key = form if isinstance(form, dict) else typing.get_type_hints(form) if typing.is_typeddict(form) else None
    kind = dict if by_key is not None else origin or form
    if not _is(kind, value):
        raise ValueError(f"{place or 'the file'} is not {_NAMES[kind]}")
    if by_key is not None:
        required = by_key if isinstance(form, dict) else form.__required_keys__
        for key, part in by_key.items():
            if key in value:
                require(value[key], part, f"{place}.{key}".lstrip("."))
            elif key in required:
                raise ValueError(f"{place}.{key} is missing".lstrip("."))
    elif arguments:
        for key, part in value.items() if kind is dict else enumerate(value):
            require(part, arguments[-1], f"{place}.{key}")


def _is(kind, value):
    if kind not in (float, Count):
        return isinstance(value, kind)
    # Not math.isfinite, which fails for an integer beyond the range of a float.
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return number and (kind is float or value > 0)
