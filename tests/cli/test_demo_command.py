"""bin/demo on a run that is trained already."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from i2p_tf.attacks import sanity_checks
from i2p_tf.cli import demo

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds


@pytest.fixture(scope="module")
def folder(trained_run, tmp_path_factory):
    """Where the command is started; holds the run, and its export and what attacks it after a first test."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(trained_run.path, folder / "run")
    return folder


@pytest.fixture
def run_demo(folder, run_command, brief_suite, monkeypatch):
    """The command with all but its server in this process: flags -> exit code, stdout, stderr, steps.

    The steps are lists of a name and its flags. The last one of --web, which serves until it is stopped, is listed and
    not taken.
    """
    steps = []

    def step(name, *arguments, stdout=None):
        steps.append([name, *map(str, arguments)])
        if name == "serve":
            return ""
        code, printed, stderr = run_command(name, *arguments)
        if code:
            raise demo.DemoError(stderr)
        return printed

    monkeypatch.chdir(folder)
    monkeypatch.setattr(demo, "_step", step)
    monkeypatch.setattr(demo.web_page, "folder", lambda: "what npm installs is there")
    return lambda *flags: (*run_command("demo", "--run_dir=run", *flags), steps)


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


def test_the_served_accuracy_is_the_evaluated_one(folder, run_demo):
    code, stdout, stderr, steps = run_demo("--web")
    assert code == 0, stderr
    names = [name for name, *_ in steps if name != "export"]
    assert names == ["evaluate", "protect", "classify", "attack", "report", "serve"]
    assert {"--export=exports/run", "--web"} <= set(steps[-1])
    evaluated, served = (
        re.search(rf"protected pictures, {name} +([\d.]+)", stdout)[1]
        for name in ("bin/evaluate", "bin/classify asking bin/serve")
    )
    assert float(served) == pytest.approx(float(evaluated), abs=0.003)  # one picture of 359
    assert len(list((folder / "run" / "demo" / "protected").rglob("*.png"))) == 359
    assert "how to read it: run/report.html" in stdout
    assert "inverse_network_wide_mse" in (folder / "run" / "report.html").read_text()
    assert not [line for line in processes_of(os.getsid(0)) if "--export=exports/run" in line]  # the server has ended


def test_a_sanity_check_that_misbehaves_is_reported_and_then_fails(folder, run_demo, monkeypatch):
    unreachable = dataclasses.replace(sanity_checks.SANITY_CHECKS["identity"], at_least=1.5)
    monkeypatch.setitem(sanity_checks.SANITY_CHECKS, "identity", unreachable)
    monkeypatch.setattr(demo, "_server", lambda export: contextlib.nullcontext("http://nowhere"))
    monkeypatch.setattr(demo, "_classify", lambda address, export, labels: labels)
    monkeypatch.setattr(demo, "ALLOWED_DIFFERENCE", 1)
    code, stdout, stderr, _ = run_demo()
    assert code == 1 and "how to read it: run/report.html" in stdout
    assert stderr.splitlines()[-1].startswith(
        "error: the attacks are not valid: sanity check identity is reconstructed"
    )
    assert "NOT VALID: a sanity check misbehaves" in (folder / "run" / "report.html").read_text()


def test_an_interrupt_leaves_no_process_behind(folder):
    """Each step in a process of its own, as people run it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "i2p_tf.cli.demo", "--run_dir=run"],
        cwd=folder,
        env=os.environ | {"PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    steps = []
    for line in process.stderr:
        steps += re.findall(r"^\$ bin/(\w+)", line)
        if "serve" in steps:
            break
    assert [step for step in steps if step != "export"] == ["evaluate", "protect", "serve"]
    while not any("serve" in command for command in processes_of(process.pid)):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT and "the same command goes on" in stderr
    assert processes_of(process.pid) == []
