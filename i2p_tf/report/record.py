"""What a run has left behind, read and checked: the only part of the report that knows files."""

import dataclasses
import pathlib
import shlex
from typing import Any

from i2p_tf import pictures, results_check
from i2p_tf.config import Config
from i2p_tf.data.sources import shown_name
from i2p_tf.errors import InputError
from i2p_tf.files import read_json
from i2p_tf.former_results import former_name
from i2p_tf.pictures import PictureError
from i2p_tf.results import read as read_results
from i2p_tf.run_dir import RunDir

# Keys of each row of tradeoff.json that a report shows.
TRADEOFF = {
    *("bits", "protected", "device_only", "gain", "strongest_ssim", "class_alone_ssim", "ceiling_ssim", "leakage"),
    *("reidentification_top1", "linkage", "n"),
}


@dataclasses.dataclass(frozen=True)
class Record:
    """A run as the report sees it.

    Attributes:
        name: of its folder.
        config: config.json, with the defaults of this version.
        environment: environment.json; empty where there is none.
        results: results.json; empty where there is none.
        run_dir: the `RunDir`, for its pictures.
        tradeoff: the rows of tradeoff.json, one for each number of bits; empty where there is none.
    """

    name: str
    config: dict
    environment: dict
    results: dict
    run_dir: RunDir
    tradeoff: tuple = ()

    @property
    def place(self) -> str:
        """The run as one types it: its path, if that is relative; else its name, as folders say more of their owner."""
        path = self.run_dir.path
        return shlex.quote(self.name if path.is_absolute() else str(path))

    @property
    def encryption(self) -> str | None:
        """The keyed method that the run uses instead of h_θ; None if there is h_θ."""
        return self.config.get("encryption")

    @property
    def is_codebook(self) -> bool:
        """Whether h_θ sends one of some fixed pictures, whatever it gets."""
        return Config.from_json(self.config).sends_codewords

    @property
    def classifier(self) -> str:
        """What ψ is called."""
        return Config.from_json(self.config).classifier_name

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return shown_name(self.config["dataset"])

    @property
    def pairs_from(self) -> list[str]:
        """The names of other data sets that attackers learned from."""
        found = {result.get("pairs_from") for result in self.results.get("attacks", {}).values()} - {None}
        return sorted(map(shown_name, found))

    @property
    def attacked(self) -> bool:
        """Whether a suite of attacks was finished."""
        return "attack_suite" in self.results

    def samples(self, attack: str | None = None) -> Any:
        """samples.png of an attack or, without one, of the run: RGB `PIL.Image.Image`, or None if it can't be had."""
        path = self.run_dir.samples
        if attack:
            path = self._attack(attack) / path.name
        return _picture(path)

    def _attack(self, name):
        """The folder of an attack, which an earlier version may have called otherwise."""
        suite = self.results["attack_suite"]["name"]
        folder = self.run_dir.attack(suite, name)
        return folder if folder.is_dir() else self.run_dir.attack(suite, former_name(name))

    def tradeoff_picture(self) -> Any:
        """tradeoff.png as `samples`."""
        return _picture(self.run_dir.tradeoff_picture)

    def codewords(self) -> Any:
        """codewords.png, the pictures of a codebook in one row, as `samples`."""
        return _picture(self.run_dir.codewords)


def _picture(path):
    try:
        return pictures.decode(path)
    except PictureError:
        return None


def read(path: str | pathlib.Path) -> Record:
    """Reads a run directory.

    Raises:
        InputError: if it is none, or a file in it is damaged.
    """
    run_dir = RunDir(path)
    config = run_dir.load_config().to_json()
    found, environment = run_dir.read_results(), run_dir.read_environment()
    try:
        results_check.check(found)
    except ValueError as error:
        message = f"{run_dir.results} is damaged: {error}; delete it, and bin/evaluate and bin/attack write it again"
        raise InputError(message) from error
    return Record(run_dir.path.resolve().name, config, environment, found, run_dir, _tradeoff(run_dir.tradeoff))


def recorded(path: pathlib.Path) -> Record:
    """Reads a results.json that has left its run under another name, for what its parts `config` and so on say.

    Raises:
        InputError: if it is none, or of an evaluation that did not write these parts.
    """
    found = read_results(path)
    try:
        results_check.check(found)
        config = Config.from_json(found["config"]).to_json()
        return Record(path.stem, config, found["environment"], found, RunDir(path.with_suffix("")))
    except KeyError as error:
        raise InputError(f"{path} has no part {error}; bin/evaluate of its run writes it") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _tradeoff(path):
    """The rows of a tradeoff.json, each with all that a report shows."""
    if not path.is_file():
        return ()
    rows = read_json(path).get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= TRADEOFF for row in rows):
        raise InputError(f"{path} is damaged; bin/tradeoff writes it again")
    return tuple(rows)
