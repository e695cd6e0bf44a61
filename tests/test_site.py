"""The documentation becomes a site without a warning and without a network; its links lead somewhere."""

import html.parser
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import pytest

from i2p_tf.cli import train
from i2p_tf.results import Results

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[1]
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}  # what a browser asks for by itself
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nobody listens there


class Page(html.parser.HTMLParser):
    """The names of a page's places, where its links lead, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.places, self.links, self.loaded = set(), set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        if found.get("rel") != "canonical" and found.get(LOADED.get(tag)):
            self.loaded.add(found[LOADED[tag]])
        if tag == "a" and found.get("href"):
            self.links.add(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={folder}"]
    environment = os.environ | OFFLINE | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def leads_nowhere(path, link, pages):
    """Whether a link of the page at `path` leads to a file or a place on it that is not there."""
    address = urllib.parse.urlsplit(link)
    if address.scheme or address.netloc:
        return False
    target = (path.parent / urllib.parse.unquote(address.path)).resolve() if address.path else path
    place = urllib.parse.unquote(address.fragment)
    return not target.is_file() or bool(place) and target in pages and place not in pages[target].places


def test_links_lead_somewhere(pages):
    broken = [
        (path.name, link) for path, page in pages.items() for link in page.links if leads_nowhere(path, link, pages)
    ]
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        for address in page.loaded:
            assert address.startswith("data:") or not urllib.parse.urlsplit(address).netloc, (path.name, address)
            assert address.startswith("data:") or not leads_nowhere(path, address, pages), (path.name, address)


def test_no_stylesheet_loads_from_elsewhere(site):
    for path in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text()), path.name


def test_the_reference_has_flags_keys_and_docstrings(site):
    commands, files, api = ((site / f"{name}.html").read_text() for name in ("commands", "files", "api"))
    assert all(f"--{name}" in commands for name in train.FLAGS if name != "transport")
    assert "--transport" not in commands
    assert all(f"<code>{name}</code>" in files for name in Results.__annotations__)
    assert 'id="i2p_tf.api.fit"' in api and 'id="i2p_tf.client.classifier.Classifier.classify"' in api


def test_files_outside_of_docs_are_pages(site):
    notebook = (site / "repository/examples/own_classifier.html").read_text()
    assert "data:image/png;base64," in notebook
    assert (site / "repository/i2p_tf/data/sources.py.html").is_file()
