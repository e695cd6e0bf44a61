"""What can be said of the page's files without a browser."""

import base64
import hashlib
import json
import pathlib
import re

WEB = pathlib.Path(__file__).parents[2] / "web"


def test_the_page_allows_its_import_map_and_its_own_server_alone():
    page = (WEB / "index.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy"\s+content="([^"]*)"', page)
    (import_map,) = re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
    assert directives["default-src"] == "'none'" and directives["connect-src"] == "'self'"
    assert directives["script-src"].split() == ["'self'", "'wasm-unsafe-eval'", f"'sha256-{digest}'"]
    assert set(json.loads(import_map)["imports"]) == set(json.loads((WEB / "package.json").read_text())["dependencies"])
    assert not re.findall(r"<script(?! type=\"(?:importmap|module)\")|\son\w+=|\sstyle=", page)


def test_no_file_names_another_server():
    for file in [*WEB.glob("*.js"), *WEB.glob("*.html"), *WEB.glob("*.css")]:
        addresses = set(re.findall(r"\w+://[\w.-]+", file.read_text()))
        assert addresses <= {"https://HOST"}, file.name


def test_packages_are_pinned_by_their_contents():
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    locked = {
        name.removeprefix("node_modules/"): entry
        for name, entry in json.loads((WEB / "package-lock.json").read_text())["packages"].items()
        if name
    }
    assert {name: entry["version"] for name, entry in locked.items()} == wanted
    for entry in locked.values():
        assert entry["integrity"].startswith("sha512-") and "resolved" not in entry
