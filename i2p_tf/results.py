"""results.json: the only place that knows its form."""

import numpy as np

SCHEMA = 1
OF_ATTACKS = ("attacks", "floors", "linkage", "brute_force", "attribute_inference", "attack_suite")


def summary(values):
    """Mean, median, 95th percentile and maximum of an array."""
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }
