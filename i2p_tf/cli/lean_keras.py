"""Keras without scikit-learn and JAX, which it and TensorFlow load where they are installed: a third of a start.

No command uses what they are loaded for: wrappers that make estimators of networks, and models that come from JAX.
"""

import functools
import importlib.util
import sys
from typing import Any

UNUSED = ("jax", "sklearn")


class _Finder:
    """Finds Keras, once."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec and spec.loader
        if loader:
            loader.exec_module = functools.partial(_execute, loader.exec_module)
        return spec


def _execute(execute, module):
    """Runs Keras; meanwhile, what it tries to load is as if it were not installed."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in UNUSED if name not in modules]
    modules.update(dict.fromkeys(hidden))  # of None, which Python takes for what can't be imported
    try:
        execute(module)
    finally:
        for name in hidden:
            del modules[name]


def install() -> None:
    """Makes the first import of Keras, which is to compute with TensorFlow, a lean one; where it is past, nothing."""
    if "keras" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
