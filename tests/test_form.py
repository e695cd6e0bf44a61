"""The form of the package: no circle among its modules, short functions, short files, type hints on what is public."""

import ast
import graphlib
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "i2p_tf"
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
FILES = sorted(PACKAGE.rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def relative(path):
    return str(path.relative_to(PACKAGE))


def module(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {path: ast.parse(path.read_text()) for path in FILES}
MODULES = {module(path): path for path in FILES}


def imported(path):
    """What one imports of the package, in functions too; not what a package's `__init__` loads when asked for."""
    waiting = [TREES[path]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names if node.module in MODULES)
        elif path.name != "__init__.py" or not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)


def test_no_circle_among_the_modules():
    graph = {name: set(imported(path)) for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the modules


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_functions_are_short(path):
    functions = [node for node in ast.walk(TREES[path]) if isinstance(node, FUNCTIONS)]
    lines = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert not {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


def public_functions(body):
    """Those of a module or class, and the methods of its public classes; what Python calls by itself is public."""
    for node in body:
        if isinstance(node, FUNCTIONS) and (not node.name.startswith("_") or node.name.endswith("__")):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)


def lacking(function):
    """What of a function has no type hint."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = [each.arg for each in given if each and not each.annotation and each.arg not in ("self", "cls")]
    if not function.returns and (function.name != "__init__" or len(given) == 3):
        names.append("return")
    return names


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_what_is_public_has_type_hints(path):
    found = {node.name: lacking(node) for node in public_functions(TREES[path].body)}
    assert not {name: names for name, names in found.items() if names}
