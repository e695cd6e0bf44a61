"""Which files are protected, cut into units of work: a run of pictures, or a shard of TFRecords."""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence

from i2p_tf import pictures
from i2p_tf.bulk import storage
from i2p_tf.bulk.storage import File
from i2p_tf.errors import InputError, printable

PART = 512  # pictures that are in memory together, and are written together
RECORDS = ".tfrecord"  # in the name of a file of them
WILDCARDS = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class Unit:
    """Where the list of its files stands in the plan.

    Attributes:
        name: of the unit, as `00003-of-00010`.
        start, size: of its lines in the plan, in bytes.
    """

    name: str
    start: int
    size: int


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a pattern has matched.

    Attributes:
        base: what the paths of all files begin with; a name is what follows.
        plan: a line of JSON for each file: path, size, time.
        units: of work.
        parts: how many there are in all units; None if nobody knows, as of TFRecords.
    """

    base: str
    plan: bytes
    units: tuple[Unit, ...]
    parts: int | None


def holds_records(path: str) -> bool:
    """Whether a path is one of TFRecords, by its name."""
    return RECORDS in path.rpartition("/")[2].lower()


def find(pattern: str, output: str) -> Inputs:
    """Lists the files that a pattern matches, but hidden ones and those of the output.

    Args:
        pattern: absolute; one that ends in / stands for all that is below.
        output: prefix of what is written.

    Raises:
        InputError: if there are none, or pictures and TFRecords together.
    """
    pattern = f"{pattern}**" if pattern.endswith("/") else pattern
    base = WILDCARDS.split(pattern)[0].rpartition("/")[0] + "/"
    found = storage.match(pattern)
    files = [file for file in found if not file.path.startswith(output) and not _is_hidden(file.path[len(base) :])]
    if not files:
        if found:
            raise InputError(f"{printable(pattern)} matches hidden files and those of the output alone")
        raise InputError(f"no file matches {printable(pattern)}; all that is in a folder: FOLDER/")
    kinds = {holds_records(file.path): file for file in files}
    if len(kinds) > 1:
        raise InputError(
            f"{printable(pattern)} matches TFRecords ({printable(kinds[True].path)}) and other files "
            f"({printable(kinds[False].path)}); give one command for each"
        )
    return _planned(base, files, 1 if True in kinds else PART)


def read(plan: str, unit: Unit) -> list[File]:
    """The files of a unit, from the file that the plan was written to."""
    lines = (storage.read(plan, unit.start, unit.size) or b"").splitlines()
    return [File(*json.loads(line)) for line in lines]


def _planned(base: str, files: Sequence[File], each: int) -> Inputs:
    texts = ["".join(_lines(files[start : start + each])).encode() for start in range(0, len(files), each)]
    units, start = [], 0
    for number, text in enumerate(texts):
        units.append(Unit(f"{number:05d}-of-{len(texts):05d}", start, len(text)))
        start += len(text)
    return Inputs(base, b"".join(texts), tuple(units), len(units) if each > 1 else None)


def _lines(files: Sequence[File]) -> Iterator[str]:
    return (json.dumps(dataclasses.astuple(file)) + "\n" for file in files)


def _is_hidden(name):
    return any(map(pictures.is_hidden, name.split("/")))
