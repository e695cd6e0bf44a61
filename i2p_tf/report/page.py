"""A report as one HTML page that needs nothing else: no script, no font, no file, no network."""

import base64

import jinja2
from markupsafe import Markup, escape

from i2p_tf.report.blocks import Report

TEMPLATE = "page.html"
MARGIN = 2  # per cent of a plot's width that stays free on either side


def render(report: Report) -> str:
    """The text of the page for a `blocks.Report`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("i2p_tf.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": _inline, "base64": _base64, "position": _position}
    environment.tests["of_kind"] = lambda block, kind: type(block).__name__ == kind
    return environment.get_template(TEMPLATE).render(report=report)


def _inline(text):
    """Text with its `names` as code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)]
    return Markup("").join(marked)


def _base64(data):
    return base64.b64encode(data).decode()


def _position(value, plot):
    """Where a value stands in a plot, in per cent of its width."""
    fraction = min(1.0, max(0.0, (value - plot.low) / (plot.high - plot.low)))
    return f"{MARGIN + fraction * (100 - 2 * MARGIN):.2f}%"
