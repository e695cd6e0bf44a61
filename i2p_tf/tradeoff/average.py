"""Several runs, which differ in the seed, as one: means with their range."""

import numpy as np

AVERAGED = (
    *("plain", "protected", "device_only", "gain", "leakage", "reidentification_top1", "linkage"),
    *("class_alone_ssim", "ceiling_ssim", "strongest_ssim", "png_bytes"),
)


def average(curves: list[dict]) -> dict:
    """One dictionary of several, as `curve.curve` gives them; each number of `AVERAGED` has its `range`."""
    return {
        "rows": [_row(rows) for rows in zip(*(curve["rows"] for curve in curves), strict=True)],
        "device_only": [curve["device_only"] for curve in curves],
        "class_alone": [curve["class_alone"] for curve in curves],
        "sanity_checks": {"failed": [line for curve in curves for line in curve["sanity_checks"]["failed"]]},
        "environment": curves[0]["environment"],
        "seconds": sum(curve["seconds"] for curve in curves),
    }


def _row(rows):
    """The rows of one number of bits; a number that one of them lacks is none."""
    values = {name: [row[name] for row in rows] for name in AVERAGED}
    known = {name: list(map(float, numbers)) for name, numbers in values.items() if None not in numbers}
    attacks = {name: [row["attacks"][name] for row in rows] for name in rows[0]["attacks"]}
    return (
        rows[0]
        | {name: None for name in AVERAGED}
        | {name: float(np.mean(numbers)) for name, numbers in known.items()}
        | {"range": {name: [min(numbers), max(numbers)] for name, numbers in known.items()}}
        | {"seeds": [seed for row in rows for seed in row["seeds"]], "attacks": attacks}
        | {"strongest_attack": [row["strongest_attack"] for row in rows]}
    )
