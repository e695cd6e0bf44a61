"""bin/demo on a run that is trained already."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import urllib3

from i2p_tf.attacks import sanity_checks
from i2p_tf.cli import demo

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
PATIENCE = 300  # seconds
HAS_PAGE = (
    Path(__file__).parents[2].joinpath("web", "node_modules", "@litertjs", "core").is_dir()
)  # else --web is refused


@pytest.fixture(scope="module")
def folder(trained_run, tmp_path_factory):
    """Where the command is started; holds the run, and its export after a first test."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(trained_run.path, folder / "run")
    (folder / "sitecustomize.py").write_text("import brief_suite")  # Python imports it in every process
    return folder


def start(folder, *arguments):
    """The command; what it starts in turn stays in its session."""
    command = [sys.executable, "-m", "i2p_tf.cli.demo", "--run_dir=run", *arguments]
    path = f"{folder}:{TESTS}:{os.environ['PYTHONPATH']}"
    environment = os.environ | {"PATH": "/usr/bin:/bin", "PYTHONPATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def watch(process):
    """What it printed on both, and the page if it serves one, which is then ended as by a terminal."""
    stderr, page = [], ""
    reader = threading.Thread(target=lambda: stderr.extend(process.stderr))
    reader.start()
    killer = threading.Timer(PATIENCE, process.kill)
    killer.start()
    stdout = []
    for line in process.stdout:
        stdout.append(line)
        if match := re.search(r"the page at (\S+)", line):
            page = urllib3.request("GET", match[1]).data.decode()
            os.killpg(process.pid, signal.SIGINT)
    process.wait()
    killer.cancel()
    reader.join()
    return "".join(stdout), "".join(stderr), page


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


def test_the_served_accuracy_is_the_evaluated_one(folder):
    process = start(folder, *(["--web"] if HAS_PAGE else []))
    stdout, stderr, page = watch(process)
    assert process.returncode == (128 + signal.SIGINT if HAS_PAGE else 0), stderr
    assert ("See your own picture being protected" in page) == HAS_PAGE
    steps = re.findall(r"^\$ bin/(\w+)", stderr, re.MULTILINE)
    assert [step for step in steps if step != "export"] == [
        "evaluate",
        "protect",
        "serve",
        "classify",
        "attack",
        "report",
        *(["serve"] if HAS_PAGE else []),
    ]
    evaluated, served = (
        re.search(rf"protected pictures, {name} +([\d.]+)", stdout)[1]
        for name in ("bin/evaluate", "bin/classify asking bin/serve")
    )
    assert float(served) == pytest.approx(float(evaluated), abs=0.003)  # one picture of 359
    assert len(list((folder / "run" / "demo" / "protected").rglob("*.png"))) == 359
    assert "how to read it: run/report.html" in stdout
    assert "inverse_network_wide_mse" in (folder / "run" / "report.html").read_text()
    assert processes_of(process.pid) == []


def test_a_sanity_check_that_misbehaves_is_reported_and_then_fails(folder, run_command, brief_suite, monkeypatch):
    """All but the server in this process."""

    def step(name, *arguments, stdout=None):
        code, printed, stderr = run_command(name, *arguments)
        if code:
            raise demo.DemoError(stderr)
        return printed

    monkeypatch.chdir(folder)
    monkeypatch.setattr(demo, "_step", step)
    unreachable = dataclasses.replace(sanity_checks.SANITY_CHECKS["identity"], at_least=1.5)
    monkeypatch.setitem(sanity_checks.SANITY_CHECKS, "identity", unreachable)
    code, stdout, stderr = run_command("demo", "--run_dir=run")
    assert code == 1 and "how to read it: run/report.html" in stdout
    assert stderr.splitlines()[-1].startswith(
        "error: the attacks are not valid: sanity check identity is reconstructed"
    )
    assert "NOT VALID: a sanity check misbehaves" in (folder / "run" / "report.html").read_text()


def test_an_interrupt_leaves_no_process_behind(folder):
    process = start(folder)
    for line in process.stderr:
        if line.startswith("$ bin/serve"):
            break
    while not any("serve" in command for command in processes_of(process.pid)):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT and "the same command goes on" in stderr
    assert processes_of(process.pid) == []
