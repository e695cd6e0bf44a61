"""The notebooks hold what their code gave; the runner that stores it."""

import importlib.util
import json
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def runner():
    specification = importlib.util.spec_from_file_location("run_notebook", EXAMPLES / "run_notebook.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_outputs_are_those_of_the_code(path, runner):
    notebook = json.loads(path.read_text())
    assert notebook["metadata"]["i2p_tf"]["sha256"] == runner.digest(notebook), "run examples/run_notebook.py again"
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, 1 + len(cells)))


def cell(code):
    return {"cell_type": "code", "source": code.splitlines(keepends=True), "outputs": [], "execution_count": None}


def test_the_runner_stores_what_is_printed_and_shown(runner):
    sources = ["a = 1\nprint(a)", "a + 1", "a = 2", "from PIL import Image\nImage.new('RGB', (2, 2))"]
    notebook = {"cells": [*map(cell, sources), {"cell_type": "markdown", "source": ["x"]}], "metadata": {}}
    printed, shown, nothing, picture, _ = runner.run(notebook)["cells"]
    assert printed["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]
    assert shown["outputs"][0]["data"] == {"text/plain": ["2"]} and shown["execution_count"] == 2
    assert nothing["outputs"] == []
    assert list(picture["outputs"][0]["data"]) == ["text/plain", "image/png"]


def test_an_error_ends_it(runner):
    with pytest.raises(ZeroDivisionError):
        runner.run({"cells": [cell("1 / 0")], "metadata": {}})
