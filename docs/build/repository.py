"""Files outside of docs/ that a page links to become pages too: documents, notebooks with their outputs, code.

A page links to them by their path in the repository, so that the link leads somewhere on GitHub as well. On the site
they lie below repository/, and links to and from there are turned that way.
"""

import json
import os
import pathlib
import posixpath
import re

from mkdocs.structure.files import File, InclusionLevel

ROOT = pathlib.Path(__file__).parents[2]
PLACE = "repository/"
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[#)])")  # what has a colon leads elsewhere
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
STATIC = (".png", ".json")  # what a browser shows as it is


def on_files(files, config):
    """Adds what the pages link to, and what that links to; and the entries of `nav`."""
    waiting = {f"docs/{file.src_uri}" for file in files.documentation_pages()} | set(_in_nav(config.nav))
    done = set()
    while waiting:
        path = waiting.pop()
        done.add(path)
        if not path.startswith("docs/"):
            files.append(_file(path, config))
        waiting |= {link for link in _links(path) if _is_ours(link)} - done
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links that leave docs/, or that stand in a file outside of it."""
    source = _repository_path(page.file.src_uri)
    start = posixpath.dirname(page.file.src_uri)

    def turned(match):
        target = _target(source, match[1])
        if not _is_ours(target):
            return match[1]
        return posixpath.relpath(_site_path(target), start or ".")

    return LINK.sub(turned, markdown)


def _in_nav(entries):
    """Paths in the repository of the entries of `nav` that lie outside of docs/."""
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                yield from _in_nav(value)
            elif value.startswith(PLACE):
                yield _repository_path(value)


def _links(path):
    """Paths in the repository that a document links to."""
    if not path.endswith((".md", ".ipynb")):
        return []
    text = FENCED.sub("", _markdown(path))
    return [_target(path, link) for link in LINK.findall(text)]


def _target(path, link):
    """The path in the repository that a link in a document leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _is_ours(target):
    return not target.startswith("../") and (ROOT / target).is_file()


def _site_path(path):
    """The `src_uri` of a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PLACE + (path if path.endswith((".md", *STATIC)) else f"{path.removesuffix('.ipynb')}.md")


def _repository_path(uri):
    """The file of the repository that a page is made of: `_site_path` backwards."""
    if not uri.startswith(PLACE):
        return f"docs/{uri}"
    path = uri.removeprefix(PLACE)
    bare = path.removesuffix(".md")
    return next(found for found in (path, f"{bare}.ipynb", bare) if (ROOT / found).is_file())


def _file(path, config):
    """The file of the site for a file of the repository."""
    content = (ROOT / path).read_bytes() if path.endswith(STATIC) else _markdown(path)
    return File.generated(config, _site_path(path), content=content, inclusion=InclusionLevel.NOT_IN_NAV)


def _markdown(path):
    """A file of the repository as a page."""
    text = (ROOT / path).read_text()
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        return "\n\n".join(map(_cell, json.loads(text)["cells"]))
    language = os.path.splitext(path)[1].removeprefix(".")
    return f"# {posixpath.basename(path)}\n\n`{path}`\n\n````{language}\n{text}````\n"


def _cell(cell):
    """A cell of a notebook with what its code gave."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([f"```python\n{source}\n```", *map(_output, cell["outputs"])])


def _output(output):
    data = output.get("data", {})
    if "image/png" in data:
        return f"![What the code above shows](data:image/png;base64,{''.join(data['image/png'].split())})"
    text = "".join(output.get("text") or data["text/plain"])
    return f"```text\n{text.rstrip()}\n```"
