"""The benchmark still takes the steps that it says it times. What it measures is not tested."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "train_step.py"


@pytest.mark.slow
def test_quick_run_without_peers(tmp_path):
    file = tmp_path / "results.json"
    parts = [f"--part={part}" for part in ("steps", "pipeline", "evaluation")]
    command = [sys.executable, BENCHMARK, "--quick", "--nopeers", *parts, f"--json={file}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    results = json.loads(file.read_text())
    steps = {row["step"]: row for row in results["steps"] if row["precision"] == "float32"}
    assert list(steps) == ["transform, U-Net small", "classifier, resnet20", "inverse network, unet_small"]
    for row in steps.values():
        assert row["contender"] == "i2p_tf" and row["images_per_second"][0] > 0
        assert row["losses"][0] != row["losses"][1] and all(map(math.isfinite, row["losses"]))
    resnet20, unet_small, vgg16_to_conv2_2 = 40_551_040, 48_857_088, 96_141_312  # MACs
    assert steps["classifier, resnet20"]["operations"] == 2 * 3 * resnet20
    transform = 2 * (3 * unet_small + 2 * resnet20 + 3 * vgg16_to_conv2_2)
    assert steps["transform, U-Net small"]["operations"] == transform
    assert results["pipeline"]["images_per_second"][0] > 0
    assert results["evaluation"]["seconds"][0] > 0 and results["evaluation"]["forward_seconds"][0] > 0
