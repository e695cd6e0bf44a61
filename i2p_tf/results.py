"""results.json: the only place that knows its form, and what earlier versions called its parts."""

import numpy as np

SCHEMA = 2
OF_ATTACKS = ("attacks", "prior_only", "linkage", "brute_force", "attribute_inference", "attack_suite")
# What was called otherwise in schema 1: keys wherever they stand, and the beginnings of names of results.
_FORMER_KEYS = {
    "floors": "prior_only",
    "judge": "evaluation_classifier",
    "control": "sanity_check",
    "failed_controls": "failed_sanity_checks",
    "accuracy_on_restored": "accuracy_on_reconstructed",
}
_FORMER_BEGINNINGS = {"control_": "sanity_check_", "floor_": "prior_only_"}


def summary(values):
    """Mean, median, 95th percentile and maximum of an array."""
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }


def is_known(schema):
    """Whether this version reads results of that schema."""
    return type(schema) is int and 1 <= schema <= SCHEMA


def translated(results):
    """The contents of results.json in the words of this version, whatever version has written them.

    A damaged part stays as it is: whoever reads it says what is wrong.
    """
    if results.get("schema", 1) == SCHEMA:
        return results
    renamed = {_FORMER_KEYS.get(name, name): value for name, value in results.items()}
    for part in ("attacks", "prior_only", "attack_suite"):
        if part in renamed:
            renamed[part] = _renamed(renamed[part])
    return renamed | {"schema": SCHEMA} if results else results


def former_name(name):
    """What schema 1 called the folder of a result; the same name where that has not changed."""
    for former, present in _FORMER_BEGINNINGS.items():
        if name.startswith(present):
            return former + name.removeprefix(present)
    return name


def _renamed(value):
    """A part of the results with its keys, and those of all that it holds, in the words of this version."""
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
