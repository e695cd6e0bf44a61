"""Which strategies there are to share a training, and how its workers find each other: TF_CONFIG."""

import json
import os

from i2p_tf import checks
from i2p_tf.errors import InputError

NONE, MIRRORED, MULTIWORKER = STRATEGIES = ("none", "mirrored", "multiworker")
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'


def check(name: str) -> None:
    """Raises an `InputError` unless there is such a strategy, and it is told all that it needs."""
    checks.choice("strategy", name, STRATEGIES)
    if name == MULTIWORKER:
        place()


def place() -> tuple[int, int]:
    """Which of how many workers this process is, from 0, by TF_CONFIG; the first one is the chief.

    Raises:
        InputError: if TF_CONFIG is missing or says something else.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise InputError(f"--strategy=multiworker needs TF_CONFIG in the environment of each worker: {_EXAMPLE}")
    try:
        values = json.loads(text)
        workers = {kind: list(values["cluster"].get(kind, ())) for kind in ("chief", "worker")}
        kind, index = values["task"]["type"], int(values["task"]["index"])
        number = index + (len(workers["chief"]) if kind == "worker" else 0)
        if set(values["cluster"]) - set(workers) or not 0 <= index < len(workers[kind]):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"TF_CONFIG must be as {_EXAMPLE}. Received: {' '.join(text.split())[:200]}") from None
    return number, sum(map(len, workers.values()))
