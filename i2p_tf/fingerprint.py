"""What says that a folder of pictures is the same one, wherever it lies now."""

import dataclasses
from collections.abc import Sequence

from i2p_tf.errors import InputError, printable
from i2p_tf.hints import Values

_SHOWN = 3  # of a list in a message


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """Of the names and sizes of the files, which are known without reading them.

    Attributes:
        class_names: of the folder, sorted.
        files: numbers of files of each class, by split.
        sha256: of the splits, classes, names and sizes of all files, in hexadecimal digits.
    """

    class_names: tuple[str, ...]
    files: dict[str, tuple[int, ...]]
    sha256: str

    def to_json(self) -> Values:
        """A dictionary that `json.dump` takes and `from_json` gives back as an equal `Fingerprint`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Values) -> "Fingerprint":
        """The inverse of `to_json`; `InputError` for anything else."""
        try:
            files = {split: tuple(map(int, counts)) for split, counts in values["files"].items()}
            return cls(tuple(map(str, values["class_names"])), files, str(values["sha256"]))
        except Exception as error:
            raise InputError(f"not what says which pictures a run was trained on: {error!r}") from error

    def other_classes(self, now: "Fingerprint") -> str:
        """What differs in the class names, in words; empty if they are the same."""
        before, after = set(self.class_names), set(now.class_names)
        others = {"then": sorted(before - after), "now": sorted(after - before)}
        return "; ".join(f"only {when}: {listed(names)}" for when, names in others.items() if names)

    def differences(self, now: "Fingerprint") -> list[str]:
        """What makes `now` other pictures, in lines."""
        if classes := self.other_classes(now):
            return [f"classes: {classes}"]
        counts = [
            f"files of class {printable(name)} in {split}: {before} -> {after}"
            for split in sorted(set(self.files) | set(now.files))
            for name, before, after in zip(self.class_names, self._counts(split), now._counts(split), strict=True)
            if before != after
        ]
        if counts:
            return counts[:_SHOWN] + ([f"and {len(counts) - _SHOWN} more"] if len(counts) > _SHOWN else [])
        return [] if self.sha256 == now.sha256 else ["pictures: as many, but of other names or sizes"]

    def _counts(self, split):
        return self.files.get(split, (0,) * len(self.class_names))


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
