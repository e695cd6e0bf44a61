"""The benchmark still takes the steps that it says it times. What it measures is not tested."""

import concurrent.futures
import importlib
import json
import math
import signal
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_quick_run_without_peers(shallow_resnet20, monkeypatch, tmp_path):
    """What has a process of its own is a thread here, where TensorFlow is loaded."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    train_step, keras_steps = (importlib.import_module(name) for name in ("train_step", "keras_steps"))
    monkeypatch.setattr(
        train_step,
        "own_process",
        lambda initializer=None, initargs=(): concurrent.futures.ThreadPoolExecutor(
            1, initializer=initializer, initargs=initargs
        ),
    )
    monkeypatch.setattr(train_step, "_keep_to_one_core", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    file = tmp_path / "results.json"
    parts = [f"--part={part}" for part in ("steps", "pipeline", "evaluation")]
    train_step.FLAGS(["train_step", "--quick", "--nopeers", *parts, f"--json={file}"])
    assert train_step.main([]) == 0
    results = json.loads(file.read_text())
    steps = {row["step"]: row for row in results["steps"] if row["precision"] == "float32"}
    assert list(steps) == ["transform, U-Net small", "classifier, resnet20", "inverse network, unet_small"]
    for row in steps.values():
        assert row["contender"] == "i2p_tf" and row["images_per_second"][0] > 0
        assert row["losses"][0] != row["losses"][1] and all(map(math.isfinite, row["losses"]))
    resnet, unet_small, vgg16_to_conv2_2 = 12_239_488, 48_857_088, 96_141_312  # MACs
    assert steps["classifier, resnet20"]["operations"] == 2 * 3 * resnet
    transform = 2 * (3 * unet_small + 2 * resnet + 3 * vgg16_to_conv2_2)
    assert steps["transform, U-Net small"]["operations"] == transform
    assert results["pipeline"]["images_per_second"][0] > 0
    assert results["evaluation"]["seconds"][0] > 0 and results["evaluation"]["forward_seconds"][0] > 0
