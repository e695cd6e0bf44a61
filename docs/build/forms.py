"""Fills a page of file formats from the `TypedDict`s that define them."""

import importlib
import re
import types
import typing

import griffe

MARK = re.compile(r"<!-- form (\S+):(\S+) -->")
NAMES = {float: "number", int: "whole number", bool: "true or false", str: "text", dict: "object", list: "list"}


def on_page_markdown(markdown, page, config, files):
    """Puts a list of its keys in the place of the mark of a form, `<!-- form MODULE:NAME -->`."""
    return MARK.sub(lambda match: _keys(getattr(importlib.import_module(match[1]), match[2])), markdown)


def _keys(form, indent=""):
    """An item for each key: its kind, whether it may be missing, what its form's docstring says of it."""
    said = _said(form)
    lines = []
    for key, part in typing.get_type_hints(form).items():
        inner, kind = _kind(part)
        missing = "" if key in form.__required_keys__ else ", may be missing"
        text = said.get(key) or (inner and _said(inner)[""]) or ""
        lines.append(f"{indent}- `{key}` ({kind}{missing}){': ' if text else ''}{text}")
        if inner:
            lines.append(_keys(inner, f"{indent}    "))
    return "\n".join(lines)


def _kind(part):
    """The form inside a type, if there is one, and the type in words."""
    origin, arguments = typing.get_origin(part), typing.get_args(part)
    if origin in (types.UnionType, typing.Union):
        inner, kind = _kind(arguments[0])
        return inner, f"{kind} or null"
    if typing.is_typeddict(part):
        return part, NAMES[dict]
    if arguments:
        inner, kind = _kind(arguments[-1])
        return inner, f"{NAMES[origin]} of {kind}{' by name' if origin is dict else ''}"
    return None, NAMES[getattr(part, "__supertype__", part)]  # of a NewType, what it is made of


def _said(form):
    """What a form's docstring says: of its keys, and of itself under the empty key."""
    said = {"": ""}
    for section in griffe.Docstring(form.__doc__ or "", lineno=1).parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.attributes:
            said |= {attribute.name: " ".join(attribute.description.split()) for attribute in section.value}
        elif section.kind is griffe.DocstringSectionKind.text:
            said[""] = said[""] or " ".join(section.value.split())
    return said
