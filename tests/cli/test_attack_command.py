"""bin/attack's command with a reduced suite: killed, started again, and with a sanity check that fails."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from i2p_tf.attacks import sanity_checks
from i2p_tf.run_dir import RunDir

pytestmark = pytest.mark.slow

TESTS = pathlib.Path(__file__).parents[1]
PROGRAM = f"""
import sys
sys.path.append({str(TESTS)!r})
import brief_suite
from i2p_tf.cli import attack
attack.run()
"""
PATIENCE = 300  # seconds


@pytest.fixture
def run_dir(trained_run, tmp_path):
    return RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))


def kill_as_soon_as_there_is(file, run_dir):
    """Starts the command in a process of its own, and kills it there and then."""
    program = [sys.executable, "-c", PROGRAM, f"--run_dir={run_dir.path}"]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_killed_attack_goes_on_and_a_failed_sanity_check_is_a_failure(run_dir, run_command, brief_suite, monkeypatch):
    first = run_dir.attack("quick", "inverse_network_wide_mse_seed0") / "result.json"
    kill_as_soon_as_there_is(first, run_dir)
    assert not run_dir.results.exists()
    before = first.read_text()

    strict = dataclasses.replace(sanity_checks.SANITY_CHECKS["identity"], at_least=1.1)
    monkeypatch.setitem(sanity_checks.SANITY_CHECKS, "identity", strict)
    code, stdout, stderr = run_command("attack", f"--run_dir={run_dir.path}")
    assert code == 1, stderr
    assert "inverse_network_wide_mse_seed0: done earlier" in stderr
    assert first.read_text() == before
    assert "strongest by ssim" in stdout and str(run_dir.results) in stdout
    assert not list(run_dir.path.rglob(".unfinished-*"))

    last = stderr.strip().splitlines()[-1]
    assert last.startswith("error: not valid: sanity check identity is reconstructed with a mean SSIM of ")
    assert not json.loads(run_dir.results.read_text())["attack_suite"]["valid"]


def test_a_missing_network_is_one_line(run_dir, run_command):
    run_dir.classifier.unlink()
    code, _, stderr = run_command("attack", f"--run_dir={run_dir.path}")
    assert code == 2
    assert "classifier.keras does not exist" in stderr and stderr.count("\n") == 1
    assert not run_dir.attacks.exists()
