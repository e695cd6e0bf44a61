"""What an export is asked for, checked before anything is loaded."""

import importlib.util
import pathlib
from collections.abc import Iterable

from i2p_tf.client.manifest import MANIFEST
from i2p_tf.config import Config
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.export import VARIANTS

QAT_PACKAGES = ("tensorflow_model_optimization", "tf_keras")


def check_variants(variants: Iterable[str]) -> None:
    """Raises an `InputError` where there is no such variant, or not what makes it."""
    for variant in variants:
        if variant not in VARIANTS:
            raise unknown_name("variant", variant, VARIANTS)
    if "qat" in variants and not all(map(importlib.util.find_spec, QAT_PACKAGES)):
        raise InputError(f"the variant 'qat' needs {' and '.join(QAT_PACKAGES)}; the extra `quantize` has them")


def check(config: Config, path: pathlib.Path, variants: Iterable[str], name: str) -> None:
    """Raises an `InputError` where an export can't be made.

    Args:
        config: of what is exported.
        path: the folder of the bundle.
        variants: the TensorFlow Lite files.
        name: what is exported, for messages.
    """
    if config.encryption:
        raise InputError(
            f"{name} has no transform to export: its pictures are encrypted by {config.encryption}; "
            "bin/protect --encryption does that"
        )
    rows = config.rows()
    if "qat" in variants and not all(rows[concept].quantization_aware for concept in ("transform", "objective")):
        raise InputError(
            f"the variant 'qat' is there for U-Nets with the paper's objective only; {name} has the transform "
            f"{config.transform!r} and the objective {config.objective!r}"
        )
    if path.exists() and not path.is_dir():
        raise InputError(f"--export={path} is a file; give a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise InputError(f"--export={path} is not empty and no bundle; give another folder")
