"""What has been measured already: of a run in its folder, so that the same command goes on; else nothing."""

import hashlib
import json
import shutil
from collections.abc import Callable

import numpy as np

import i2p_tf
from i2p_tf import inference, picture_grid
from i2p_tf.data.dataset import Split
from i2p_tf.files import write_atomically
from i2p_tf.hints import Network, Say, Values
from i2p_tf.run_dir import RESULT, RunDir

ATTACKS_VERSION = 2  # what attacks of another one have found is not found again: raise it when they change


class NoMemory:
    """Computes everything, and keeps nothing."""

    def result(self, name: str, specification: Values, networks: Values, compute: Callable[[], Values]) -> Values:
        return compute()

    def network(self, name: str, train: Callable[[], Network]) -> Network:
        return train()

    def save_samples(self, name: str, *rows: np.ndarray) -> None:
        pass


class RunMemory:
    """Keeps results in attacks/<suite>/<name>/ of a run, and finds them again if they were made in the same setting.

    Args:
        run_dir: a `RunDir`, locked.
        suite_name: of the folder.
        setting: what all results depend on, as JSON.
        say: called with a line for each result that is there already.
        sanity_checks_from: another `RunDir` whose results are taken where they fit; or None.
    """

    def __init__(
        self, run_dir: RunDir, suite_name: str, setting: Values, say: Say, sanity_checks_from: RunDir | None = None
    ):
        self.run_dir, self.suite_name, self.setting, self.say = run_dir, suite_name, setting, say
        self.places = [run_dir, sanity_checks_from] if sanity_checks_from else [run_dir]

    def result(self, name: str, specification: Values, networks: Values, compute: Callable[[], Values]) -> Values:
        """What `compute` returns, from an earlier command if that has finished it.

        Args:
            name: of the folder.
            specification: of what is computed, as JSON.
            networks: digests of those that it depends on besides the setting.
            compute: function without arguments to a dictionary.
        """
        asked = json.loads(json.dumps({"setting": self.setting | networks, "specification": specification}))
        if former := self._finished(name, asked):
            return former["result"]
        result = compute()
        self.run_dir.write_attack(self.suite_name, name, asked | {"result": result})
        return result

    def network(self, name: str, train: Callable[[], Network]) -> Network:
        """The network that `train` returns, from an earlier command as in `result`."""
        asked, path = {"setting": self.setting}, self._folder(name) / f"{name}.keras"
        if not self._finished(name, asked):
            network = train()
            with write_atomically(path) as temporary:
                network.save(temporary)
            self.run_dir.write_attack(self.suite_name, name, asked)
        return inference.load_network(path)

    def save_samples(self, name: str, *rows: np.ndarray) -> None:
        """Writes samples.png of an attack."""
        with write_atomically(self._folder(name) / "samples.png") as temporary:
            picture_grid.save(temporary, *rows)

    def _finished(self, name, asked):
        """What an earlier command has written about the same; empty if there is nothing."""
        for place in self.places:
            former = place.read_attack(self.suite_name, name)
            if {key: former.get(key) for key in asked} == asked:
                if place is not self.run_dir:
                    self.say(f"{name}: taken from {place.path}")
                    self._copy(place.attack(self.suite_name, name), name)
                    self.run_dir.write_attack(self.suite_name, name, former)
                else:
                    self.say(f"{name}: done earlier")
                return former
        return {}

    def _copy(self, folder, name):
        """Copies the files of an attack of another run, except its result, which is written last."""
        for source in folder.iterdir():
            if source.name != RESULT:
                with write_atomically(self._folder(name) / source.name) as temporary:
                    shutil.copyfile(source, temporary)

    def _folder(self, name):
        return self.run_dir.attack(self.suite_name, name)


def setting(train: Split, test: Split, evaluation_classifier: Network, seed: int) -> Values:
    """Whatever changes every result, as JSON; the files' names do not.

    Args:
        train, test: the `Split`s of the attacks.
        evaluation_classifier: the suite's training of it, as a dictionary.
        seed: of that training.
    """
    digest = hashlib.sha256()
    for split in (train, test):
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels).data)
    return {
        "i2p_tf": i2p_tf.__version__,
        "attacks": ATTACKS_VERSION,
        "images": digest.hexdigest(),
        "evaluation_classifier": evaluation_classifier | {"seed": seed},
    }
