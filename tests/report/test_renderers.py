"""The two renderers: the same figures, nothing from elsewhere, and no text taken for markup."""

import base64
import html.parser
import re

import pytest

from i2p_tf.report import document, markdown, page, record
from i2p_tf.report.blocks import (
    Alarm,
    Commands,
    Details,
    Dot,
    Figure,
    Figures,
    Notice,
    Paragraph,
    Picture,
    Plot,
    Points,
    Report,
    Section,
    Shaded,
    Sheet,
    Table,
)

HOSTILE = '<script>alert(1)</script> | *bold* [a](b) & "q"'


class Page(html.parser.HTMLParser):
    """What of a page the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def report(write_run):
    return document.report([record.read(write_run(name).path) for name in ("first", "second")])


def test_both_have_every_figure(report):
    shown, text = Page(page.render(report)), markdown.render(report, "report")
    tables = [block for block in report.blocks if isinstance(block, Table)]
    cells = [cell for table in tables for row in (table.columns, *table.rows) for cell in row]
    assert [cell.replace("`", "") for cell in cells] == shown.cells
    lines = {line.replace("\\", "") for line in text.splitlines() if line.startswith("| ")}
    for table in tables:
        for row in (table.columns, *table.rows):
            assert f"| {' | '.join(map(str, row))} |" in lines


def test_the_page_needs_nothing_else(report):
    shown = Page(page.render(report))
    assert page.render(report).startswith("<!DOCTYPE html>") and not shown.open
    assert not {"script", "link", "iframe", "object"} & {name for name, _ in shown.tags}
    sources = [attributes["src"] for attributes in shown.attributes("img")]
    assert len(sources) == 10 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert base64.b64decode(sources[0].partition(",")[2]) == report.pictures[0].png
    assert not re.search(r"https?:|url\(|@import", page.render(report))


def test_the_page_can_be_read_without_seeing_it(report):
    shown = Page(page.render(report))
    assert shown.attributes("html")[0]["lang"] == "en"
    assert all(attributes["alt"] for attributes in shown.attributes("img"))
    assert all(attributes["scope"] in ("row", "col") for attributes in shown.attributes("th"))
    assert all(cell.strip() for cell in shown.cells)
    names = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {attributes["aria-labelledby"] for attributes in shown.attributes("table")} <= set(names)
    assert all(link["href"].removeprefix("#") in names for link in shown.attributes("a"))
    levels = [int(name[1]) for name, _ in shown.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def hostile():
    table = Table(HOSTILE, (HOSTILE, HOSTILE), ((HOSTILE, f"`{HOSTILE}`"),))
    blocks = (
        Paragraph(HOSTILE),
        Notice(HOSTILE, (HOSTILE,), alarm=True),
        Points((HOSTILE,)),
        Commands((HOSTILE,)),
        table,
        Figures((Figure(HOSTILE, HOSTILE),)),
        Sheet(HOSTILE, (Picture("word_0.png", b"", HOSTILE, (), 8, 8),)),
        Details(HOSTILE, (Paragraph(HOSTILE),)),
    )
    return Report(HOSTILE, (Section(HOSTILE, blocks),))


def test_text_is_never_markup_in_html():
    text = page.render(hostile())
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 21


def test_text_is_never_markup_in_markdown():
    text = markdown.render(hostile(), "report")
    prose = re.sub(r"(?m)^    .*$|`[^`]*`", "", text)
    assert not re.search(r"(?<!\\)<|(?<!\\)\*bold|(?<!\\)\[a", prose)
    row = next(line for line in text.splitlines() if line.startswith("| ") and "`" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_details_are_folded_in_html_and_there_in_both():
    report = Report("title", (Section("section", (Details("more", (Paragraph("inside"),)),)),))
    assert re.search(r"<details>\s*<summary>more</summary>\s*<p>inside</p>", page.render(report))
    assert "**more**\n\ninside" in markdown.render(report, "report")


def test_a_sheet_has_each_picture_with_its_title():
    pictures = tuple(Picture(f"word_{index}.png", b"png", f"class {index}", (), 8, 8) for index in range(7))
    report = Report("title", (Section("section", (Sheet("all of them", pictures),)),))
    assert report.pictures == list(pictures)
    lines = markdown.render(report, "here").splitlines()
    assert "| class 5 | class 6 |" in lines
    assert "| ![class 5](here/word_5.png) | ![class 6](here/word_6.png) |" in lines
    shown = Page(page.render(report))
    assert len(shown.attributes("img")) == 7 and "class 6" in page.render(report)


def test_a_shaded_cell_says_how_dark_it_is():
    rows = (("a", Shaded("12", 0.25)),)
    text = page.render(Report("title", (Section("title", (Table("caption", ("one", "two"), rows),)),)))
    assert re.search(r'<td class="number shaded" style="--share: 0.250">12</td>', text)


def test_an_alarm_looks_like_one():
    assert 'class="notice alarm"' in page.render(hostile())
    rows = (("a", Alarm("NO")), ("b", "NORMAL"))
    text = page.render(Report("title", (Section("title", (Table("caption", ("one", "two"), rows),)),)))
    cells = re.findall(r'<td class="(.*?)">(.*?)</td>', text)
    assert [(words.split(), cell) for words, cell in cells] == [(["number", "alarm"], "NO"), (["number"], "NORMAL")]


@pytest.mark.parametrize(("highest", "named"), [(0.5, False), (0.6, True)])
def test_the_legend_of_a_plot_names_what_is_in_it(highest, named):
    plot = Plot(
        "Accuracy", 0.0, 1.0, (Dot("run", 0.5, "0.500", (0.5, highest), {"plain images": 0.7}),), "protected images"
    )
    text = page.render(Report("title", (Section("section", (plot,)),)))
    assert "protected images" in text and "plain images" in text and "strongest seed" not in text
    assert ("range over seeds" in text) == named
