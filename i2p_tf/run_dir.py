"""The files of a run: the one place that knows their names, and how they are written so that no half file stays."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator

from i2p_tf import results
from i2p_tf.config import Config
from i2p_tf.errors import InputError
from i2p_tf.files import TEMPORARY, parse_json, read_json, remove, write_atomically, write_json
from i2p_tf.fingerprint import Fingerprint
from i2p_tf.hints import Values

LOCK = ".lock"
RESULT = "result.json"  # of one attack


@contextlib.contextmanager
def lock_folder(folder: pathlib.Path, advice: str) -> Iterator[None]:
    """Held while a command writes into a folder; a second command is refused with `advice`.

    The folder is made if it is missing, and goes again if nothing comes into it. A file system that has no locks for
    folders, as that of a phone's storage or of a network, gives none.
    """
    folder = pathlib.Path(folder)
    missing = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            missing = False  # it is the other command's
            raise InputError(f"another command is writing to {folder}; {advice}") from None
        except OSError:
            pass
        yield
    finally:
        if missing and not any(folder.iterdir()):
            folder.rmdir()
        os.close(descriptor)  # and with it the lock


class RunDir:
    """The folder of one experiment; its attributes are the paths of its files."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.data = self.path / "data.json"
        self.environment = self.path / "environment.json"
        self.classifier = self.path / "classifier.keras"
        self.transform = self.path / "transform.keras"
        self.encryption_key = self.path / "encryption.key"
        self.metrics = self.path / "metrics.jsonl"
        self.samples = self.path / "samples.png"
        self.codewords = self.path / "codewords.png"  # of a codebook
        self.reader = self.path / "reader.keras"  # of codes; other transforms have none
        self.results = self.path / "results.json"
        self.checkpoints = self.path / "checkpoints"
        self.attacks = self.path / "attacks"
        self.tradeoff = self.path / "tradeoff.json"  # of codes
        self.tradeoff_picture = self.path / "tradeoff.png"
        self.demo = self.path / "demo"
        self.report = self.path / "report.html"
        self.report_markdown = self.path / "report.md"
        self.report_pictures = self.path / "report"  # of report.md

    def check(self, config: Config, overwrite: bool = False, data: Fingerprint | None = None) -> None:
        """Raises what `claim` would raise; writes nothing."""
        try:
            names = {entry.name for entry in self.path.iterdir()}
            entries = {name for name in names if not name.startswith(TEMPORARY)}  # what a killed command was writing
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._cannot_write(error) from error
        if not entries - {LOCK}:
            return
        if self.config.name not in entries:
            raise InputError(f"{self.path} is not empty and no run directory. Give another --run_dir")
        differences = self.differences(config, data)
        begun = entries - {LOCK, self.config.name, self.data.name, self.environment.name}
        if differences and not overwrite and begun:
            raise InputError(
                f"{self.path} holds another experiment ({'; '.join(differences)}). "
                "Give another --run_dir, or --overwrite to delete it"
            )

    def continues(self, config: Config, data: Fingerprint | None = None) -> bool:
        """Whether it holds a part of this very experiment already."""
        return self.config.is_file() and not self.differences(config, data)

    def differences(self, config: Config, data: Fingerprint | None = None) -> list[str]:
        """What makes `config`, with `data`, another experiment than that of the run, in lines."""
        mine = self.load_config()
        differences, former = mine.differences(config), self.read_data()
        if differences or data is None:
            return differences
        if former:
            return former.differences(data)
        # A run of an earlier version has not recorded its pictures: others lie elsewhere, unless its own have moved.
        paths = [os.path.abspath(name.partition(":")[2]) for name in (mine.dataset, config.dataset)]
        others = paths[0] != paths[1] and os.path.isdir(paths[0])
        return [f"dataset: {mine.dataset} -> {config.dataset}"] if others else []

    def claim(self, config: Config, overwrite: bool = False, data: Fingerprint | None = None) -> None:
        """Makes the folder that of `config`, or joins it where it already is. The lock must be held.

        Args:
            config: the experiment.
            overwrite: delete the files of another experiment instead of refusing; the same one always goes on.
            data: the `Fingerprint` of the folder of pictures; None for another data set.

        Raises:
            InputError: if it holds another experiment or something that is no run, or can't be written to.
        """
        self.check(config, overwrite, data)
        try:
            self._claim(config, data)
        except OSError as error:
            raise self._cannot_write(error) from error

    @contextlib.contextmanager
    def copy(self, config: Config, data: Fingerprint | None = None) -> Iterator["RunDir"]:
        """A temporary run with what this one has, but for its checkpoints, for who must not write here.

        Args:
            config, data: that the run must have been claimed with.

        Raises:
            InputError: if it is that of another experiment, or can't be seen from here.
        """
        if not self.config.is_file():
            raise InputError(f"a worker can't see {self.path}; all need the same --run_dir, on a disk that they share")
        if differences := self.differences(config, data):
            raise InputError(f"a worker has another configuration than the chief: {'; '.join(differences)}")
        with tempfile.TemporaryDirectory(prefix="i2p_tf-") as folder:
            for file in filter(pathlib.Path.is_file, vars(self).values()):
                shutil.copy(file, folder)
            yield RunDir(folder)

    def load_config(self) -> Config:
        """The `Config` of the run; `InputError` where there is none."""
        if not self.config.is_file():
            raise InputError(f"{self.path} is no run directory: it has no config.json. bin/train makes one")
        try:
            return Config.from_json(read_json(self.config))
        except InputError as error:
            raise InputError(f"{self.path} is no run directory of this version: {error}") from error

    def finished_config(self) -> Config:
        """As `load_config`, of a run that has all that protects and classifies; `InputError` names what is missing."""
        config = self.load_config()
        for file in self.missing(config):
            raise InputError(f"{file} does not exist; the bin/train that began this run has to finish it")
        return config

    def missing(self, config: Config) -> list[pathlib.Path]:
        """Those files that are not there yet of what a run of `config` protects and classifies with."""
        files = [self.classifier, self.encryption_key if config.encryption else self.transform]
        if config.has_reader:
            files.append(self.reader)
        return [file for file in files if not file.is_file()]

    def network_digests(self) -> dict[str, str]:
        """SHA-256 of what the run protects and classifies with, the key in the place of h_θ where there is one."""
        files = {
            "transform": self.encryption_key if self.load_config().encryption else self.transform,
            "classifier": self.classifier,
        }
        if self.reader.is_file():
            files["reader"] = self.reader
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Held while a command writes into the run, which is made if it is missing; a second command is refused."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = self._open_lock()
        except OSError as error:
            raise self._cannot_write(error) from error
        with self._locked(descriptor, fcntl.LOCK_EX):
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Held while a command reads what another must not change; a run that can't be written to needs no lock."""
        try:
            descriptor = self._open_lock()
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise self._cannot_write(error) from error
            lock: contextlib.AbstractContextManager = contextlib.nullcontext()
        else:
            lock = self._locked(descriptor, fcntl.LOCK_SH)
        with lock:
            yield

    def _open_lock(self):
        return os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT, 0o666)

    @contextlib.contextmanager
    def _locked(self, descriptor, kind):
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another command uses {self.path}; wait for it, or give --run_dir") from None
            yield
        finally:
            os.close(descriptor)

    def remove_left_overs(self) -> None:
        """Deletes what a killed command was writing. The lock must be held."""
        for left_over in self.path.rglob(f"{TEMPORARY}*"):
            remove(left_over)

    def read_results(self) -> Values:
        """The dictionary in results.json, in the words of this version; empty where there is none yet."""
        return results.read(self.results)

    def read_environment(self) -> Values:
        """The dictionary in environment.json; empty where there is none yet."""
        return read_json(self.environment) if self.environment.is_file() else {}

    def read_data(self) -> Fingerprint | None:
        """The `Fingerprint` in data.json; None where there is none."""
        if not self.data.is_file():
            return None
        values = read_json(self.data)
        try:
            return Fingerprint.from_json(values)
        except InputError as error:
            raise InputError(f"{self.data} is damaged: {error}") from error

    def read_metrics(self) -> list[Values]:
        """The lines of metrics.jsonl as dictionaries; empty where there is none yet."""
        lines = self.metrics.read_bytes().splitlines() if self.metrics.is_file() else []
        return [parse_json(line, self.metrics) for line in lines]

    def attack(self, suite: str, name: str) -> pathlib.Path:
        """The folder of one attack of a suite; what other suites have measured stays beside it."""
        return self.attacks / suite / name

    def read_attack(self, suite: str, name: str) -> Values:
        """What `write_attack` has written; empty where there is nothing yet."""
        path = self.attack(suite, name) / RESULT
        return read_json(path) if path.is_file() else {}

    def write_attack(self, suite: str, name: str, values: Values) -> None:
        """Writes result.json of one attack."""
        write_json(self.attack(suite, name) / RESULT, values)

    def write_metrics(self, lines: Iterable[Values]) -> None:
        """Replaces metrics.jsonl by `lines`, dictionaries."""
        with write_atomically(self.metrics) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def _claim(self, config, data):
        self.path.mkdir(parents=True, exist_ok=True)
        if self.config.is_file() and self.differences(config, data):
            self._delete()
        self.remove_left_overs()
        write_json(self.config, config.to_json())  # first: without it nobody could tell that the rest is a run
        if data:
            write_json(self.data, data.to_json())

    def _delete(self):
        others = set(vars(self).values()) - {self.path, self.config}
        # The configuration last: without it nobody could tell that the rest is a run.
        for entry in (*others, self.config):
            remove(entry)

    def _cannot_write(self, error):
        return InputError(f"cannot write to the run directory {self.path}: {error.strerror}")
