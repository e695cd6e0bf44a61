"""The launchers in bin/, each test in a copy of them beside a tiny package, so that nothing comes from the network."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What stands in for the commands: it says how it was started, or does what its first argument asks for.
COMMAND = """
import json, os, signal, sys, time
action = sys.argv[1] if len(sys.argv) > 1 else ""
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
if action == "exit":
    sys.exit(int(sys.argv[2]))
if action == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    print("waiting", flush=True)
    time.sleep(60)
state = {"arguments": sys.argv[1:], "folder": os.getcwd(), "prefix": sys.prefix, "file": __file__, "pid": os.getpid()}
state["python_path"] = os.environ["PYTHONPATH"]
state["blocked"] = sorted(blocked)
print(json.dumps(state))
"""

# What stands in for the tests: one that passes under the settings of `bin/test`, one that fails.
TESTS = """import os

import pytest


def test_settings():
    assert "KERAS_BACKEND" not in os.environ
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


@pytest.mark.slow
def test_slow():
    assert "KERAS_BACKEND" in os.environ
"""

# A lock that can't be installed.
NOWHERE = f"nowhere==1.0 --hash=sha256:{'0' * 64}\n"

# What stands in for setuptools: pip "builds" the copy into a wheel with one module, `dependency`.
BACKEND = """
import pathlib, time, zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    while pathlib.Path("hold").exists():
        pathlib.Path("held").touch()
        time.sleep(0.05)
    name = "i2p_tf-0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\\nName: i2p-tf\\nVersion: 0\\nProvides-Extra: all\\n"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        wheel.writestr("dependency.py", "")
        wheel.writestr("i2p_tf-0.dist-info/METADATA", metadata)
        wheel.writestr("i2p_tf-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("i2p_tf-0.dist-info/RECORD", "")
    return name
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the launchers, in a folder with a space in its name."""
    return make_checkout(tmp_path / "a checkout")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A checkout whose `.venv` was made by its launcher. Each test leaves it complete or broken; the launcher copes."""
    checkout = make_checkout(tmp_path_factory.mktemp("launcher") / "a checkout")
    (checkout / "home").mkdir()
    project = (checkout / "pyproject.toml").read_text().partition("[project]")[1:]
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n' + "".join(project)
    )
    (checkout / "backend.py").write_text(BACKEND)
    result = run(checkout / "bin/train", environment=bare(checkout))
    assert result.returncode == 0, result.stderr
    return checkout


def make_checkout(folder):
    shutil.copytree(ROOT / "bin", folder / "bin", symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "i2p_tf/cli").mkdir(parents=True)
    for name, text in {"__init__.py": "", "cli/__init__.py": "", "cli/train.py": COMMAND}.items():
        (folder / "i2p_tf" / name).write_text(text)
    return folder


def active():
    """The caller's variables with the environment of this test run activated."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**inherited, "VIRTUAL_ENV": sys.prefix}


def bare(checkout):
    """Variables of a fresh machine: no active environment, an empty home, and pip cut off from every index."""
    base = Path(sys.base_prefix, "bin")
    return {
        "HOME": str(checkout / "home"),
        "PATH": f"{base}:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }


def run(*command, environment=None, folder=None):
    environment = active() if environment is None else environment
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)


def state_of(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_keeps_folder_and_arguments(checkout, tmp_path):
    (tmp_path / "json.py").write_text("raise RuntimeError('a file of the caller shadows a module')")
    state = state_of(run(checkout / "bin/train", "--a=b c", "", "*", folder=tmp_path))
    assert state["arguments"] == ["--a=b c", "", "*"]
    assert state["folder"] == str(tmp_path)
    assert state["file"] == str(checkout / "i2p_tf/cli/train.py")


def test_works_through_a_chain_of_relative_links(checkout, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links/inner").symlink_to("../a checkout/bin/train")
    (tmp_path / "outer").symlink_to("links/inner")
    assert state_of(run("../outer", folder=tmp_path / "links"))["file"] == str(checkout / "i2p_tf/cli/train.py")


def test_works_where_the_checkout_is_a_link(checkout, tmp_path):
    (tmp_path / "linked").symlink_to(checkout)
    assert state_of(run("linked/bin/train", folder=tmp_path))["folder"] == str(tmp_path)


def test_passes_the_exit_code(checkout):
    assert run(checkout / "bin/train", "exit", "5").returncode == 5


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 7), (signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -9)]
)
def test_passes_signals(checkout, number, code):
    process = subprocess.Popen(
        [checkout / "bin/train", "wait"],
        env=active(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == code


def test_python_path_of_the_caller_stays_behind_the_checkout(checkout, tmp_path):
    (tmp_path / "i2p_tf").mkdir()
    (tmp_path / "i2p_tf/__init__.py").write_text("raise RuntimeError('not the package of the checkout')")
    assert run(checkout / "bin/train", environment={**active(), "PYTHONPATH": str(tmp_path)}).returncode == 0


def test_signals_wait_until_the_command_takes_them(checkout):
    assert state_of(run(checkout / "bin/train"))["blocked"] == sorted([signal.SIGINT, signal.SIGTERM])


@pytest.mark.parametrize("inherited", [":/opt", "/opt:", "/opt::.", "lib:/opt:../lib", ""])
def test_nothing_is_imported_from_the_working_directory(checkout, tmp_path, inherited):
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('a file of the caller is run')")
    shutil.copy(tmp_path / "sitecustomize.py", tmp_path / "json.py")
    environment = {**active(), "PYTHONPATH": inherited}
    state = state_of(run(checkout / "bin/train", environment=environment, folder=tmp_path))
    assert state["python_path"] == ":".join([str(checkout), *(["/opt"] if inherited else [])])


def test_home_of_another_python(checkout, tmp_path):
    result = run(checkout / "bin/train", environment={**active(), "PYTHONHOME": str(tmp_path)})
    assert state_of(result)["prefix"] == sys.prefix


def test_a_checkout_with_a_colon_in_its_path(tmp_path):
    result = run(make_checkout(tmp_path / "a:b") / "bin/train")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "colon" in result.stderr and str(tmp_path / "a:b") in result.stderr


def test_no_python(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "readlink"):
        (tools / name).symlink_to(shutil.which(name))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # too old: it fails the check of its version
    (tools / "python3").chmod(0o755)
    result = run(checkout / "bin/train", environment={"PATH": str(tools)})
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "no Python 3.11, 3.12 or 3.13 found" in result.stderr


def test_read_only_checkout(checkout):
    # A folder in the place of the lock file can't be opened for writing, not even by root.
    (checkout / ".venv.lock").mkdir()
    result = run(checkout / "bin/train", environment=bare(checkout))
    assert result.returncode == 1
    assert result.stderr.startswith("error: can't make ")
    assert result.stderr.count("\n") == 1


def add_tests(checkout, name, text):
    for path in (checkout / "i2p_tf").rglob("*.py"):
        path.write_text('"""Nothing."""\n')  # the stand-ins are not in our style
    (checkout / "tests").mkdir()
    (checkout / name).write_text(text)


def test_test_command(checkout, tmp_path):
    add_tests(checkout, "tests/test_settings.py", TESTS)
    environment = {**active(), "KERAS_BACKEND": "jax", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTEST_ADDOPTS": "--collect-only"}
    everything = run(checkout / "bin/test", environment=environment, folder=tmp_path)
    assert everything.returncode == 1
    assert re.search("1 failed, 1 passed in", everything.stdout.splitlines()[-1]) and "2 workers" in everything.stdout
    fast = run(checkout / "bin/test", "--fast", "tests/test_settings.py", environment=environment, folder=tmp_path)
    assert fast.returncode == 0
    assert re.search("1 passed, 1 deselected in", fast.stdout.splitlines()[-1]) and "workers" not in fast.stdout


@pytest.mark.parametrize(
    ("name", "code", "named"),
    [
        ("tests/test_style.py", "import os\n", "F401"),
        ("tests/test_style.py", "a = [ 1 ]\n", "unformatted"),
        ("i2p_tf/wrong.py", '"""A wrong type."""\n\na: int = ""\n', "wrong.py:3: error: Incompatible types"),
    ],
)
def test_what_ruff_and_mypy_find_stops_the_tests_before_they_begin(checkout, name, code, named):
    add_tests(checkout, name, code)
    result = run(checkout / "bin/test", "tests")
    assert result.returncode == 1
    assert named in result.stdout + result.stderr and "no tests ran" not in result.stdout


@pytest.mark.slow
def test_failed_installation(checkout):
    (checkout / "requirements.lock").write_text(NOWHERE)
    result = run(checkout / "bin/train", environment=bare(checkout))
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: the installation failed (No matching distribution found for nowhere")
    assert "Traceback" not in result.stderr
    assert not (checkout / ".venv/.complete").exists()


@pytest.mark.slow
def test_uses_its_environment(installed):
    result = run(installed / "bin/train", environment=bare(installed))
    assert state_of(result)["prefix"] == str(installed / ".venv")
    assert result.stderr == ""


@pytest.mark.slow
def test_writes_nothing_to_the_home_folder(installed):
    assert list((installed / "home").iterdir()) == []


@pytest.mark.slow
def test_active_environment_without_the_dependencies(installed, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    environment = {**bare(installed), "VIRTUAL_ENV": str(tmp_path / "other")}
    result = run(installed / "bin/train", environment=environment)
    assert state_of(result)["prefix"] == str(installed / ".venv")
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path / 'other'} lacks absl-py>=" in result.stderr


@pytest.mark.slow
def test_active_environment_that_is_gone(installed, tmp_path):
    result = run(installed / "bin/train", environment={**bare(installed), "VIRTUAL_ENV": str(tmp_path / "gone")})
    assert state_of(result)["prefix"] == str(installed / ".venv")
    assert f"{tmp_path / 'gone'} lacks Python 3.11 to 3.13" in result.stderr


@pytest.mark.slow
def test_an_environment_that_others_made_in_its_place_stays(checkout):
    (checkout / ".venv").mkdir()
    (checkout / ".venv/pyvenv.cfg").write_text("home = /elsewhere\n")
    (checkout / "home").mkdir()
    result = run(checkout / "bin/train", environment=bare(checkout))
    assert result.returncode == 2
    assert "was not made by the commands in bin/" in result.stderr.splitlines()[-1]
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["pyvenv.cfg"]


def remove_package(checkout):
    next((checkout / ".venv").glob("lib/*/site-packages/dependency.py")).unlink()


def remove_interpreter(checkout):
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to("/nowhere/python3")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [remove_package, remove_interpreter])
def test_broken_environment_is_made_again(installed, damage):
    run(installed / "bin/train", environment=bare(installed))
    (installed / ".venv/trace").touch()
    damage(installed)
    result = run(installed / "bin/train", environment=bare(installed))
    assert state_of(result)["prefix"] == str(installed / ".venv")
    assert "making" in result.stderr
    assert "is ready after" in result.stderr
    assert not (installed / ".venv/trace").exists()


@pytest.mark.slow
def test_a_changed_lock_updates_the_environment(installed):
    run(installed / "bin/train", environment=bare(installed))
    (installed / "requirements.lock").write_text(NOWHERE)
    assert run(installed / "bin/train", environment=bare(installed)).returncode == 1
    (installed / "requirements.lock").write_text("# changed\n")
    assert "updating" in run(installed / "bin/train", environment=bare(installed)).stderr
    assert run(installed / "bin/train", environment=bare(installed)).stderr == ""


def run_with_lock(checkout, text, **environment):
    """What a command says when the lock becomes this one; the environment is as before afterwards."""
    lock = (checkout / "requirements.lock").read_text()
    (checkout / "requirements.lock").write_text(text)
    result = run(checkout / "bin/train", environment=bare(checkout) | environment)
    (checkout / "requirements.lock").write_text(lock)
    return result


@pytest.mark.slow
def test_no_network(installed):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        index = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        result = run_with_lock(installed, NOWHERE, PIP_NO_INDEX="", PIP_INDEX_URL=index, PIP_RETRIES="1")
    assert result.returncode == 1
    assert "error: the installation failed (the network, or the package index in it, can't be reached)" in result.stderr


@pytest.mark.slow
def test_a_file_of_another_hash_is_not_installed(installed, tmp_path):
    with zipfile.ZipFile(tmp_path / "nowhere-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nowhere-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nowhere\nVersion: 1.0\n")
    result = run_with_lock(installed, NOWHERE, PIP_FIND_LINKS=str(tmp_path))
    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_killed_installation_and_two_commands_at_once(installed):
    (installed / ".venv/.complete").unlink(missing_ok=True)
    (installed / "hold").touch()
    first = start(installed)
    wait_for(installed / "held")
    first.kill()
    first.wait()
    second = start(installed)
    assert "waiting" in second.stderr.readline()  # the pip of the first one still runs, and still holds the lock
    (installed / "hold").unlink()
    third = start(installed)
    for process in (second, third):
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert json.loads(stdout)["prefix"] == str(installed / ".venv")
    assert (installed / ".venv/.complete").exists()


def start(checkout):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([checkout / "bin/train"], env=bare(checkout), **pipes)


def wait_for(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} doesn't appear"
        time.sleep(0.05)
