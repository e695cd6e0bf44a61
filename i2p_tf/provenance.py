"""Where the figures of a run come from, for files that leave the run: its settings, its machine, its time."""

from i2p_tf import concepts
from i2p_tf.config import Config
from i2p_tf.data.sources import shown_name
from i2p_tf.hints import Values
from i2p_tf.run_dir import RunDir


def settings(config: Config) -> Values:
    """A configuration as JSON without folders, which say more of their owner than of the experiment."""
    shown = {name: value for name, value in config.to_json().items() if name != "data_dir"}
    paths = concepts.paths()
    return {name: value for name, value in shown.items() if name not in paths} | {"dataset": shown_name(config.dataset)}


def provenance(run_dir: RunDir) -> Values:
    """The parts `config`, `environment` and `seconds` of results.json."""
    return {
        "config": settings(run_dir.load_config()),
        "environment": run_dir.read_environment(),
        "seconds": _seconds(run_dir),
    }


def _seconds(run_dir):
    """What the epochs of each training have taken, by its name; a network that was given has none."""
    seconds: dict[str, float] = {}
    for line in run_dir.read_metrics():
        seconds[line["phase"]] = seconds.get(line["phase"], 0.0) + line["seconds"]
    return {phase: round(total, 1) for phase, total in seconds.items()}
