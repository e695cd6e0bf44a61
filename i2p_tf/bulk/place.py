"""Where a job writes: the protected pictures behind a prefix, and beside them what it knows of itself.

The prefix is a folder (`protected/`), which gets a PNG file for each picture, or the begin of the names of TFRecords
(`protected.tfrecord`). What belongs to the job lies in `PREFIX.i2p_tf/`: `settings.json`, which says how the pictures
are made and of what; `plan.jsonl`, the inputs; `transform.tflite`, for the workers; a receipt for each part that is
finished; `failures.jsonl`, the pictures that could not be protected.
"""

import dataclasses
import io
import json

from i2p_tf.bulk import example, inputs, storage
from i2p_tf.bulk.parts import Part
from i2p_tf.errors import InputError, printable

_PASSING = ("cannot be read", "there is not enough memory")  # reasons of `pictures` that are not the picture's


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What became of a part.

    Attributes:
        protected: the number of pictures.
        failures: names of the others, each with the reason.
        files: name of each file that was written, behind the prefix -> its size in bytes.
    """

    protected: int
    failures: list
    files: dict


class Place:
    """The files of one job; its attributes are their paths. Can be pickled.

    Args:
        prefix: absolute; it ends in / for a folder of PNG files.

    Raises:
        InputError: if it is neither a folder nor a name of TFRecords.
    """

    def __init__(self, prefix: str) -> None:
        if not (prefix.endswith("/") or inputs.holds_records(prefix)) or inputs.WILDCARDS.search(prefix):
            raise InputError(
                f"the output is a folder/, for PNG files, or a name with {inputs.RECORDS} in it, without *, ? and [. "
                f"Received: {printable(prefix)}"
            )
        self.prefix = prefix
        self.folder = f"{prefix}.i2p_tf/"
        self.settings = f"{self.folder}settings.json"
        self.plan = f"{self.folder}plan.jsonl"
        self.transform = f"{self.folder}transform.tflite"
        self.receipts = f"{self.folder}finished/"
        self.unfinished = f"{self.folder}unfinished/"
        self.failures = f"{self.folder}failures.jsonl"

    @property
    def holds_records(self) -> bool:
        """Whether TFRecords are written; else PNG files."""
        return inputs.holds_records(self.prefix)

    def claim(self, settings: dict, plan: bytes, transform: bytes, overwrite: bool) -> None:
        """Begins the job, or joins it where an earlier command has begun it.

        Args:
            settings: what decides how the pictures look and which they are, as JSON.
            plan, transform: contents of these files.
            overwrite: make everything again, whatever lies there.

        Raises:
            InputError: if another job, or something else, lies there.
        """
        former = None if overwrite else self._former_settings()
        if former == settings:
            return storage.delete(f"{self.unfinished}*")
        if former is not None:
            names = ", ".join(name for name in settings | former if former.get(name) != settings.get(name))
            raise InputError(
                f"{printable(self.prefix)} holds the output of another job (it differs in {names}). "
                "Give another output, or --overwrite to make all again"
            )
        targets = f"{self.prefix}{'-*' if self.holds_records else '**'}"
        others = [file.path for file in storage.match(targets) if not file.path.startswith(self.folder)]
        if others and not overwrite:
            raise InputError(
                f"{printable(others[0])} is there already, and no such command has written it. "
                "Give another output, or --overwrite"
            )
        storage.delete(f"{self.folder}**")
        if self.holds_records:
            storage.delete(targets)  # whoever reads the shards would read them too
        for path, content in ((self.plan, plan), (self.transform, transform), (self.settings, _json(settings))):
            self._write(path, content)

    def finished_parts(self) -> int:
        """How many parts have a receipt."""
        return len(storage.match(f"{self.receipts}*"))

    def receipt(self, part: str) -> Receipt | None:
        """Of a part that is finished, and whose files are there still; None also if another attempt may do better."""
        content = storage.read(f"{self.receipts}{part}.json")
        if content is None:
            return None
        receipt = Receipt(**json.loads(content))
        if any(reason.startswith(_PASSING) for _, reason in receipt.failures):
            return None
        there = all(storage.size(f"{self.prefix}{name}") == size for name, size in receipt.files.items())
        return receipt if there else None

    def write(self, part: Part, protected: list[bytes]) -> Receipt:
        """Writes what a part has become, and then its receipt.

        Args:
            part: what it is.
            protected: the PNG files of its pictures.
        """
        files = _shard(part, protected) if self.holds_records else _png_files(part, protected)
        for name, content in files.items():
            self._write(f"{self.prefix}{name}", content)
        sizes = {name: len(content) for name, content in files.items()}
        receipt = Receipt(len(protected), list(part.failures), sizes)
        self._write(f"{self.receipts}{part.name}.json", _json(dataclasses.asdict(receipt)))
        return receipt

    def write_failures(self, failures: list[list[str]]) -> None:
        """Writes which pictures could not be protected, each with the reason."""
        lines = [_json({"name": name, "reason": reason}) for name, reason in sorted(failures)]
        self._write(self.failures, b"".join(lines))

    def read_failures(self) -> list[dict]:
        """What `write_failures` has written."""
        return [json.loads(line) for line in (storage.read(self.failures) or b"").splitlines()]

    def _former_settings(self):
        try:
            return json.loads(storage.read(self.settings) or b"null")
        except ValueError as error:
            raise InputError(f"{printable(self.settings)} is damaged; --overwrite makes all again") from error

    def _write(self, path, content):
        storage.write(path, content, self.unfinished)


def _png_files(part, protected):
    """The whole name of a source, so that no two meet; two records of a shard have two numbers."""
    return {f"{name}.png": content for name, content in zip(part.names, protected, strict=True)}


def _shard(part, protected):
    shard = io.BytesIO()
    for name, record, content in zip(part.names, part.records, protected, strict=True):
        kept = dataclasses.replace(record, picture=content)
        example.write_record(shard, example.serialized(kept, name))
    return {f"-{part.name}": shard.getvalue()}


def _json(value):
    return json.dumps(value).encode() + b"\n"
