"""Where the data of a finished run are now, and whether they still are what it has learned from."""

import sys

from i2p_tf.config import Config
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.run_dir import RunDir

HELP = (
    "where the data are now: the folder of pictures, or the directory of prepared TensorFlow Datasets; where they were "
    "in training if not given"
)


def located(run_dir: RunDir, config: Config, data_dir: str | None) -> Config:
    """The `Config` of a run, whose data may have moved.

    Args:
        run_dir: the `RunDir`.
        config: its `Config`.
        data_dir: the value of --data_dir: where the data are now; None if they have not moved.

    Returns:
        `config` with the present place.

    Raises:
        InputError: if they are not there, or have other classes. Other pictures of the same classes are a warning on
            stderr: without a test folder some may be tested that were trained on.
    """
    config = sources.located(config, data_dir)
    former, now = run_dir.read_data(), sources.fingerprint(config.dataset)
    if former is None or now is None:
        return config
    shown = sources.shown_name(config.dataset)
    if classes := former.other_classes(now):
        raise InputError(f"{shown} has other classes than those that {run_dir.path} has learned: {classes}")
    if differences := former.differences(now):
        print(
            f"warning: {shown} is not what {run_dir.path} has learned from ({'; '.join(differences)}); test pictures "
            "that were drawn from it may be others now",
            file=sys.stderr,
        )
    return config
