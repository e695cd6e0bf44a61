"""The state of a training on disk: every variable bit for bit, and where the training stood."""

import json
import pathlib
import re

import numpy as np

from i2p_tf.files import write_atomically
from i2p_tf.hints import Say, Values

KEPT = 2  # the newest, and the one before for the case that the newest is damaged


def save(folder: pathlib.Path, phase: str, epoch: int, arrays: dict[str, list[np.ndarray]], progress: Values) -> None:
    """Writes the state after `epoch` finished epochs and keeps the `KEPT` newest of the phase.

    Later ones are those of a training that could not be resumed; they go.

    Args:
        folder: the run's checkpoint folder.
        phase: name of the training.
        epoch: finished epochs.
        arrays: dictionary of names to lists of arrays.
        progress: what JSON can hold; comes back from `load`.
    """
    flat = {f"{name}/{index}": array for name, group in arrays.items() for index, array in enumerate(group)}
    flat["progress"] = np.array(json.dumps(progress))
    with (
        write_atomically(pathlib.Path(folder) / f"{phase}-{epoch:04d}.npz") as temporary,
        open(temporary, "wb") as file,
    ):
        np.savez(file, **flat)  # type: ignore[arg-type]  # no array is called allow_pickle
    files = _newest_first(folder, phase)
    kept = [path for path in files if _epoch(path) <= epoch][:KEPT]
    for path in set(files) - set(kept):
        path.unlink()


def load(
    folder: pathlib.Path, phase: str, shapes: dict[str, list], warn: Say
) -> tuple[int, dict[str, list[np.ndarray]], Values] | None:
    """The newest state that is whole, or None.

    Args:
        folder, phase: as in `save`.
        shapes: dictionary of the names in `arrays` to the shapes that are expected.
        warn: called with a line for every damaged file that is passed over.

    Returns:
        `(epoch, arrays, progress)` as they were saved.
    """
    for path in _newest_first(folder, phase):
        try:
            arrays, progress = _read(path, shapes)
        except Exception as error:  # of the archive, its compression and the arrays: there are too many to list
            warn(f"{path.name} is damaged ({_one_line(error)}); it is passed over")
        else:
            return _epoch(path), arrays, progress
    return None


def _newest_first(folder, phase):
    files = pathlib.Path(folder).glob(f"{phase}-*.npz")
    return sorted((path for path in files if re.fullmatch(rf"{phase}-[0-9]+", path.stem)), key=_epoch, reverse=True)


def _epoch(path):
    return int(path.stem.rpartition("-")[2])


def _read(path, shapes):
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: [file[f"{name}/{i}"] for i in range(len(group))] for name, group in shapes.items()}
        progress = json.loads(str(file["progress"]))
    for name, group in shapes.items():
        for array, shape in zip(arrays[name], group, strict=True):
            if array.shape != tuple(shape):
                raise ValueError(f"{name} has shape {array.shape} where {tuple(shape)} is expected")
    return arrays, progress


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
