"""The files of a run: the one place that knows their names, and how they are written so that no half file stays."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import uuid

from i2p_tf.config import Config
from i2p_tf.errors import InputError

_TEMPORARY = ".unfinished-"


@contextlib.contextmanager
def write_atomically(path):
    """Yields a temporary path beside `path`, with its suffix; renames it onto `path` if the block succeeds."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes `value` as indented JSON with a final newline."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


class RunDir:
    """The folder of one experiment; its attributes are the paths of its files."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.classifier = self.path / "classifier.keras"
        self.transform = self.path / "transform.keras"
        self.metrics = self.path / "metrics.jsonl"
        self.samples = self.path / "samples.png"
        self.results = self.path / "results.json"
        self.checkpoints = self.path / "checkpoints"
        self.attacks = self.path / "attacks"
        self.report = self.path / "report.html"

    def claim(self, config, overwrite=False):
        """Makes the folder that of `config`, or joins it where it already is.

        Args:
            config: the experiment.
            overwrite: delete the files of another experiment instead of refusing.

        Raises:
            InputError: if it holds another experiment or something that is no run, or can't be written to.
        """
        try:
            self._claim(config, overwrite)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise InputError(f"cannot write to the run directory {self.path}: {error.strerror}") from error

    def load_config(self):
        """The `Config` of the run; `InputError` where there is none."""
        if not self.config.is_file():
            raise InputError(f"{self.path} is no run directory: it has no config.json. bin/train makes one")
        try:
            values = json.loads(self.config.read_text())
        except ValueError as error:
            raise InputError(f"{self.config} is damaged: {error}") from error
        return Config.from_json(values)

    def finished_config(self):
        """As `load_config`, of a run that has both networks; `InputError` names the one that is missing."""
        config = self.load_config()
        for network in (self.classifier, self.transform):
            if not network.is_file():
                raise InputError(f"{network} does not exist; the bin/train that began this run has to finish it")
        return config

    @contextlib.contextmanager
    def lock(self):
        """Held while a command writes into the run; a second command is refused."""
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another command is writing to {self.path}; wait for it, or give --run_dir") from None
            yield

    def read_results(self):
        """The dictionary in results.json; empty where there is none yet."""
        return json.loads(self.results.read_text()) if self.results.is_file() else {}

    def read_metrics(self):
        """The lines of metrics.jsonl as dictionaries; empty where there is none yet."""
        return [json.loads(line) for line in self.metrics.read_text().splitlines()] if self.metrics.is_file() else []

    def write_metrics(self, lines):
        """Replaces metrics.jsonl by `lines`, dictionaries."""
        with write_atomically(self.metrics) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def _claim(self, config, overwrite):
        self.path.mkdir(parents=True, exist_ok=True)
        contents = [entry for entry in self.path.iterdir() if entry.name != ".lock"]
        if self.config.is_file():
            differences = self._differences(config)
            if differences and not overwrite:
                raise InputError(
                    f"{self.path} holds another experiment ({'; '.join(differences)}). "
                    "Give another --run_dir, or --overwrite to delete it"
                )
            if differences:
                self._delete()
        elif contents:
            raise InputError(f"{self.path} is not empty and no run directory. Give another --run_dir")
        for left_over in self.path.rglob(f"{_TEMPORARY}*"):
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
        write_json(self.config, config.to_json())

    def _differences(self, config):
        try:
            return self.load_config().differences(config)
        except InputError:
            return ["config.json can't be read"]

    def _delete(self):
        for entry in vars(self).values():
            if entry != self.path:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
