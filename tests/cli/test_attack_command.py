"""bin/attack's command with a reduced suite: killed, started again, and with a control that fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from i2p_tf.run_dir import RunDir

pytestmark = pytest.mark.slow

# A suite of seconds in the place of `quick`; the arguments of the program follow.
PROGRAM = """
from i2p_tf.attacks import controls, suite

brief = suite.Training(steps=30, batch_size=32)
attack = suite.InverseNetwork("wide", "mse", brief)
suite.SUITES["quick"] = suite.Suite((attack,), control=attack, judge=brief, test_images=50)
del controls.CONTROLS["shifted"]  # takes more training
{more}
from i2p_tf.cli import attack
attack.run()
"""
STRICT = 'controls.CONTROLS["identity"] = controls.Control(controls.CONTROLS["identity"].protect, at_least=1.1)'


def start(run_dir, more=""):
    program = [sys.executable, "-c", PROGRAM.format(more=more), f"--run_dir={run_dir.path}"]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


@pytest.fixture
def run_dir(trained_run, tmp_path):
    return RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))


def test_a_killed_attack_goes_on_and_a_failed_control_is_a_failure(run_dir):
    first = run_dir.attack("quick", "inverse_network_wide_mse_seed0") / "result.json"
    process = start(run_dir)
    deadline = time.monotonic() + 200
    while not first.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not run_dir.results.exists()
    before = first.read_text()

    process = start(run_dir, STRICT)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stderr
    assert "inverse_network_wide_mse_seed0: done earlier" in stderr
    assert first.read_text() == before
    assert "strongest by ssim" in stdout and str(run_dir.results) in stdout
    assert not list(run_dir.path.rglob(".unfinished-*"))

    last = stderr.strip().splitlines()[-1]
    assert last.startswith("error: not valid: control identity is restored with a mean SSIM of ")
    assert not json.loads(run_dir.results.read_text())["attack_suite"]["valid"]


def test_a_missing_network_is_one_line(run_dir):
    run_dir.classifier.unlink()
    process = start(run_dir)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "classifier.keras does not exist" in stderr and stderr.count("\n") == 1
    assert not run_dir.attacks.exists()
