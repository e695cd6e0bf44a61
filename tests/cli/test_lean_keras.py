"""What is left out while Keras is imported, with a Keras of four lines."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERAS = """
try:
    import sklearn
except ImportError:
    sklearn = None
"""
PROGRAM = """
import sys
from i2p_tf.cli import lean_keras
{before}
lean_keras.install()
lean_keras.install()
import keras
print(keras.sklearn is not None)
import sklearn, jax  # are there for everybody else
assert not any(type(finder).__module__ == "i2p_tf.cli.lean_keras" for finder in sys.meta_path)
"""


def finds_sklearn(folder, before=""):
    """Whether Keras does."""
    for name, content in (("keras", KERAS), ("sklearn", ""), ("jax", "")):
        (folder / f"{name}.py").write_text(content)
    path = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    return subprocess.run(command, env=os.environ | path, capture_output=True, text=True, check=True).stdout == "True\n"


def test_keras_finds_nothing_that_no_command_uses_and_others_do(tmp_path):
    assert not finds_sklearn(tmp_path)


def test_what_is_loaded_already_stays(tmp_path):
    assert finds_sklearn(tmp_path, "import sklearn")
