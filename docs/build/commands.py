"""Fills the page of the commands from their `--help` texts and flags; no command loads TensorFlow for that."""

import importlib
import pathlib

from i2p_tf.cli import app

LAUNCHERS = pathlib.Path(__file__).parents[2] / "bin"
MARK = "<!-- commands -->"


def on_page_markdown(markdown, page, config, files):
    """Puts the commands in the place of the mark."""
    return markdown.replace(MARK, "\n\n".join(map(_section, _names()))) if MARK in markdown else markdown


def _names():
    """The commands that have flags of their own, in the order in which they are used."""
    order = ("demo", "train", "evaluate", "attack", "tradeoff", "report", "export", "protect", "serve", "classify")
    named = {path.name for path in LAUNCHERS.iterdir() if "i2p_tf.cli" in path.read_text() and path.name[0] != "_"}
    return sorted(named, key=lambda name: order.index(name) if name in order else len(order))


def _section(name):
    command = importlib.import_module(f"i2p_tf.cli.{name}")
    lines = [_prose(line) if line[:2] != "  " else f"  {line}" for line in command.__doc__.strip().splitlines()]
    flags = "\n".join(_flag(*described) for described in app.described(command.FLAGS))
    return "\n\n".join([f"## bin/{name}", "\n".join(lines), flags])


def _flag(usage, help_text):
    """An item of a list; where the help text names the rows of a table, with a list of them."""
    text, *rows = help_text.split("\n        ")
    named = ("\n    - `{}`: {}".format(*map(_prose, row.split(": ", 1))) for row in rows)
    return f"- `{usage}`: {_prose(text)}{''.join(named)}"


def _prose(text):
    """Text whose characters mean themselves in Markdown."""
    return text.replace("<", "&lt;").replace("*", r"\*")
