"""The README is short, links lead somewhere, and the commands on the pages exist with their flags."""

import importlib
import pathlib
import re
import shlex

import pytest

from i2p_tf import presets

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = [README, *sorted((ROOT / "docs").glob("*.md"))]  # the pages below docs/results say what was run at its time
NO_ABSL_FLAGS = {"test"}  # bin/test hands them to pytest


def relative(path):
    return str(path.relative_to(ROOT))


def commands(page):
    """The words of each line of bin/NAME in an indented block, without its comment."""
    lines = re.findall(r"^    (bin/.+)$", page.read_text(), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def anchors(page):
    """The names that headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    lines = README.read_text().splitlines()
    assert len(lines) <= 90
    assert not [line for line in lines if len(line) > 100 and not line.startswith(("|", "    "))]


def test_the_readme_has_one_table():
    assert len(re.findall(r"^\|---", README.read_text(), re.MULTILINE)) == 1


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", GUIDES, ids=relative)
def test_commands_have_these_flags(page):
    for program, *arguments in commands(page):
        name = program.removeprefix("bin/")
        assert (ROOT / program).is_file(), program
        if name not in NO_ABSL_FLAGS:
            known = {*importlib.import_module(f"i2p_tf.cli.{name}").FLAGS, "help"}
            given = {word[2:].partition("=")[0] for word in arguments if re.match(r"--\w", word)}
            assert given <= known | {f"no{flag}" for flag in known}, program


@pytest.mark.parametrize("page", GUIDES, ids=relative)
def test_presets_exist(page):
    assert set(re.findall(r"--preset=(\w+)", page.read_text())) <= {*presets.PRESETS}
