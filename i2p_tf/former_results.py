"""What results.json was called by parts in schema 1, and those parts in the words of today."""

from i2p_tf.hints import Values

# Keys wherever they stand, and the beginnings of names of results.
_FORMER_KEYS = {
    "transport": "channels",
    "floors": "prior_only",
    "judge": "evaluation_classifier",
    "control": "sanity_check",
    "failed_controls": "failed_sanity_checks",
    "accuracy_on_restored": "accuracy_on_reconstructed",
}
_FORMER_BEGINNINGS = {"control_": "sanity_check_", "floor_": "prior_only_"}


def translated(results: Values) -> Values:
    """The contents of a results.json of schema 1, but for that number, in the words of today.

    A damaged part stays as it is: whoever reads it says what is wrong.
    """
    renamed = {_FORMER_KEYS.get(name, name): value for name, value in results.items()}
    for part in ("attacks", "prior_only", "attack_suite"):
        if part in renamed:
            renamed[part] = _renamed(renamed[part])
    return renamed


def former_name(name: str) -> str:
    """What schema 1 called the folder of a result; the same name where that has not changed."""
    for former, present in _FORMER_BEGINNINGS.items():
        if name.startswith(present):
            return former + name.removeprefix(present)
    return name


def _renamed(value):
    """A part of the results with its keys, and those of all that it holds, in the words of today."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_present_name(name): _renamed(inner) for name, inner in value.items()}


def _present_name(name):
    if name in _FORMER_KEYS:
        return _FORMER_KEYS[name]
    for former, present in _FORMER_BEGINNINGS.items():
        if name.startswith(former):
            return present + name.removeprefix(former)
    return name
