"""Which models are served, from which exports: what TF Serving calls ModelConfig. Standard library only."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

from i2p_tf.client import manifest
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError

CLASSIFIER = "classifier"  # the folder of an export that holds the versions
VERSION_DIGITS = 18  # of a number at most: the protocols send it in 64 bits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model of a server.

    Attributes:
        name: in the address of the model.
        base_path: absolute path of the folder whose subfolders are the versions.
        labels: name of a version -> its number. If there are any, just these versions are served; if not, the newest.
    """

    name: str
    base_path: pathlib.Path
    labels: dict = dataclasses.field(default_factory=dict)


def versions(base_path: pathlib.Path) -> list[int]:
    """Numbers of the versions in a folder, ascending; subfolders whose names are no such numbers don't count."""
    try:
        folders = [entry.name for entry in base_path.iterdir() if entry.is_dir()]
    except OSError:
        return []
    return sorted(int(name) for name in folders if re.fullmatch(f"0|[1-9][0-9]{{0,{VERSION_DIGITS - 1}}}", name))


def from_exports(paths: Sequence[str], stable: int | None = None, canary: int | None = None) -> list[ModelConfig]:
    """Configures a server for exports.

    Args:
        paths: folders that bin/export has written.
        stable, canary: numbers of the versions that get these labels, of a single export; None for no such label.

    Returns:
        A list of `ModelConfig`s.

    Raises:
        InputError: if a folder is no export with a classifier, a version is missing, or two have one name.
    """
    labels = {label: version for label, version in (("stable", stable), ("canary", canary)) if version is not None}
    if labels and len(paths) > 1:
        raise InputError("--stable and --canary are for one export; label versions of several in models.config")
    configs = [_from_export(pathlib.Path(path), labels) for path in paths]
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two exports are named {name}; rename one of the folders")
    return configs


def _from_export(path, labels):
    if not (path / MANIFEST).is_file():
        raise InputError(f"{path} is no folder that bin/export has written: it has no {MANIFEST}")
    manifest.read(path)  # of this version or an earlier one
    name = path.resolve().name
    if not _NAME.fullmatch(name):
        raise InputError(
            f"a model is served under the name of its folder, which may have letters, digits, '.', '_' and '-'. "
            f"Received: {name!r}"
        )
    base_path = path.resolve() / CLASSIFIER
    available = versions(base_path)
    if not available:
        raise InputError(f"{path} has no classifier; bin/export --savedmodel writes it")
    for label, version in labels.items():
        if version not in available:
            raise InputError(
                f"--{label}={version}: {path} has no such version; allowed: {', '.join(map(str, available))}"
            )
    return ModelConfig(name, base_path, labels)


def wanted(config: ModelConfig) -> list[int]:
    """The versions to serve, of those on disk: the labelled ones, else the newest."""
    on_disk = versions(config.base_path)
    if config.labels:
        return sorted(set(on_disk) & set(config.labels.values()))
    return on_disk[-1:]
