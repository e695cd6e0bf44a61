"""Runs the code cells of a notebook in order, in this process, and stores what they print and show in it.

  python examples/run_notebook.py examples/own_classifier.ipynb

Needs nothing but Python's standard library. A cell that raises an error ends it; the file is then as it was.
"""

import ast
import base64
import contextlib
import hashlib
import io
import json
import pathlib
import sys


def run(notebook: dict) -> dict:
    """The notebook, as JSON, with the outputs of its cells and the `digest` of what gave them."""
    names: dict = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": _outputs("".join(cell["source"]), names, count)}
    notebook["metadata"]["i2p_tf"] = {"sha256": digest(notebook)}
    return notebook


def digest(notebook: dict) -> str:
    """SHA-256 of the code: outputs that are stored beside another one are of other code."""
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def _outputs(source, names, count):
    """What a cell prints, and the value of its last expression."""
    tree, value, printed = ast.parse(source), None, io.StringIO()
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if last:
            value = eval(compile(last, "cell", "eval"), names)
    outputs = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        shown = {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": _data(value)}
        outputs.append(shown)
    return outputs


def _data(value):
    """A value by media type: a picture of Pillow as PNG, anything else as text."""
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if picture := getattr(value, "_repr_png_", None):
        data = {"text/plain": ["<picture>"], "image/png": base64.b64encode(picture()).decode()}
    return data


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    done = run(json.loads(path.read_text()))
    path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n")
