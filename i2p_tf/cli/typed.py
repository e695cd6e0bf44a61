"""What has been typed, for files that others read."""

import pathlib
import shlex

from absl import flags

from i2p_tf.data import sources

PLACES = ("data_dir", "run_dir")


def command(name: str, values: flags.FlagValues) -> str:
    """The command line of a command called `name`, without the folders in which data, files and runs lie.

    They say more of their owner than of the experiment.
    """
    given = {flag: str(values[flag].value) for flag in values if values[flag].present and flag not in PLACES}
    return " ".join([name, *(f"--{flag}={shlex.quote(_shown(text))}" for flag, text in given.items())])


def _shown(text):
    path = pathlib.Path(text)
    return path.name if path.exists() else sources.shown_name(text)
