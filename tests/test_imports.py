"""Imports run downwards, and what has to stay light stays light."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "i2p_tf"
# From the top down; a module may import from the groups below its own, and within its own folder.
LAYERS = [
    {"cli"},
    {"api"},
    {"bulk", "export", "report", "serving", "tradeoff"},
    {"training", "attacks"},  # an attacker trains by itself
    {"objectives"},
    {"client"},  # export checks what it wrote with the client that will read it
    {"evaluation", "calibration"},
    {"inference", "experiment", "provenance"},
    {"key_file"},
    {"run_dir", "data", "models", "metrics", "confidence", "chance", "environment", "presets", "results_check"},
    {"config", "fingerprint", "pictures", "encryption", "channels", "results", "picture_grid"},
    {"concepts", "recipe"},
    {"rows"},  # files called table.py
    {"tables", "files", "forms", "former_results"},
    {"checks", "classifier_file", "drawing", "whole_batch"},
    {"errors", "hints", "moving_line", "jpeg_end", "picture_memory", "picture_mode", "process_memory"},
]
NEED_TENSORFLOW = {"evaluation", "inference", "models", "metrics", "data"}
KNOW_NO_CONFIGURATION = {"models", "metrics", "encryption", "pictures", "channels"}


def part(path):
    return "rows" if path.stem == "table" else path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    """Parts of the package that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (
            "rows" if ".table." in f"{name}." else name.split(".")[1] for name in names if name.startswith("i2p_tf.")
        )


def height(name):
    return next(len(LAYERS) - index for index, layer in enumerate(LAYERS) if name in layer)


FILES = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    mine = part(path)
    for other in imported_parts(path):
        if other in ("__version__", mine):
            continue
        assert height(other) < height(mine), f"{mine} imports {other}"
        assert not (mine == "client" and other in NEED_TENSORFLOW), f"{mine} imports {other}"
        assert not (mine in KNOW_NO_CONFIGURATION and other in ("config", "run_dir")), f"{mine} imports {other}"


def modules_after(statement):
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "sklearn", "jax"}


@pytest.mark.parametrize(
    "statement",
    [
        "import i2p_tf",
        "import i2p_tf.cli.train, i2p_tf.cli.evaluate, i2p_tf.cli.attack",
        "import i2p_tf.cli.tradeoff, i2p_tf.tradeoff.average, i2p_tf.tradeoff.picture",
        "import i2p_tf.cli.report, i2p_tf.report.document, i2p_tf.report.page, i2p_tf.report.markdown",
        "import i2p_tf.client, i2p_tf.pictures",
        "import i2p_tf.client.classifier, i2p_tf.client.rest_connection, i2p_tf.client.grpc_connection",
        "import i2p_tf.cli.serve, i2p_tf.cli.classify, i2p_tf.cli.demo",
    ],
)
def test_light_modules_load_no_training_library(statement):
    assert not modules_after(statement) & HEAVY


def test_the_package_itself_loads_nothing_at_all():
    assert not modules_after("import i2p_tf") & (HEAVY | {"numpy", "PIL", "absl", "ai_edge_litert"})
