"""bin/demo on a run that is trained already."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(trained_run, tmp_path):
    """Starts the command in a folder that holds the run; what it starts gets a session of its own."""
    shutil.copytree(trained_run.path, tmp_path / "run")

    def start():
        command = [sys.executable, "-m", "i2p_tf.cli.demo", "--run_dir=run"]
        environment = os.environ | {"PATH": "/usr/bin:/bin"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    return start


def processes_of(session):
    """Command lines of the processes in a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((folder / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_the_served_accuracy_is_the_evaluated_one(demo, tmp_path):
    process = demo()
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    steps = re.findall(r"^\$ bin/(\w+)", stderr, re.MULTILINE)
    assert steps == ["evaluate", "export", "protect", "serve", "classify"]
    evaluated, served = (
        re.search(rf"protected pictures, {name} +([\d.]+)", stdout)[1]
        for name in ("bin/evaluate", "bin/classify asking bin/serve")
    )
    assert float(served) == pytest.approx(float(evaluated), abs=0.003)  # one picture of 359
    assert len(list((tmp_path / "run" / "demo" / "protected").rglob("*.png"))) == 359
    assert processes_of(process.pid) == []


def test_an_interrupt_leaves_no_process_behind(demo):
    process = demo()
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("$ bin/serve"):
            break
    while not any("serve" in command for command in processes_of(process.pid)):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT and "the same command goes on" in stderr
    assert processes_of(process.pid) == []
