"""The half of `_run` that finds or makes the environment and runs the command in it. Standard library only.

An active virtual environment is taken if it meets the requirements in pyproject.toml; otherwise the checkout's
`.venv`, which is made or repaired first where needed. `_run` starts this file with the interpreter of whichever comes
first, if that interpreter runs at all, so nothing here has to start another Python to find out.

`_run` starts this file with SIGINT and SIGTERM blocked, and the command begins like that: its `i2p_tf.cli.signals` lets
them in as soon as it can answer with one line. Python itself, while it starts, would answer with a traceback.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".complete"  # written last, so a killed installation has none
LOG = VENV / "install.log"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SITE_PACKAGES = VENV / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def main(extras, module, *arguments):
    """Replaces this process by `python -m module arguments`, in an environment that has these extras of the package."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # where `_run` could not
    if os.pathsep in str(ROOT):
        _fail(2, f"the path of the checkout has a colon, and Python can't import from such a folder: {ROOT}; rename it")
    active = os.environ.get("VIRTUAL_ENV")
    if active and not _is_folder(active, VENV):
        lacking = _unmet_requirements(extras.split()) if _is_folder(active, sys.prefix) else ["Python 3.11 to 3.13"]
        if not lacking:
            _run(sys.executable, module, arguments)
        _say(f"the active environment {active} lacks {', '.join(lacking)}; using {VENV}")
        del os.environ["VIRTUAL_ENV"]
        _start_again()
    stamp = _read_stamp()
    intact = _is_folder(VENV, sys.prefix) and "entries" in stamp and set(stamp["entries"]) <= set(_entries())
    if not intact or stamp["fingerprint"] != _fingerprint():
        _make(intact, stamp)
    _run(VENV / "bin/python", module, arguments)


def _run(python, module, arguments):
    # An empty or relative entry would be a folder below the caller's working directory, whatever that is.
    inherited = filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *inherited])
    os.environ.pop("PYTHONHOME", None)  # of another Python: this one would not start
    if not module.startswith("i2p_tf."):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # -P: files in the caller's working directory don't shadow modules.
    os.execv(python, [str(python), "-P", "-m", module, *arguments])


def _start_again():
    launcher = str(ROOT / "bin/_run")
    os.execv(launcher, [launcher, *sys.argv[1:]])


def _unmet_requirements(extras):
    """What the base install and these extras require and the running environment doesn't have (or has too old)."""
    installed = _installed_versions()
    unmet = []
    for requirement in _requirements(extras):
        name, lowest = requirement.split(">=")
        if _numbers(installed.get(_normalized(name), "")) < _numbers(lowest):
            unmet.append(requirement)
    return unmet


def _installed_versions():
    """Versions by package name, read off the names of the metadata folders: importlib.metadata would take 0.2 s."""
    folders = [name for path in sys.path if os.path.isdir(path) for name in os.listdir(path)]
    matches = [re.fullmatch(r"(.+)-([^-]+)\.dist-info", name) for name in folders]
    return {_normalized(match[1]): match[2] for match in matches if match}


def _normalized(name):
    return re.sub("[-_.]+", "-", name).lower()


def _requirements(extras):
    project = _project()
    by_extra = project["optional-dependencies"]
    # "all" is ["PACKAGE[extra,extra]"]: not every extra, as `beam` needs an environment of its own.
    names = re.search(r"\[(.+)\]", *by_extra["all"])[1].split(",") if extras == ["all"] else extras
    return project["dependencies"] + [requirement for name in names for requirement in by_extra[name]]


def _project():
    """The table of pyproject.toml that says what the package is and needs."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _read_stamp():
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def _fingerprint():
    project = json.dumps(_project())  # not the whole file: how the code is formatted needs no installation
    return hashlib.sha256(project.encode() + LOCK.read_bytes()).hexdigest()


def _entries():
    """What lies in site-packages; the metadata folders, whose names hold versions, are left out."""
    if not SITE_PACKAGES.is_dir():
        return []
    return sorted(name for name in os.listdir(SITE_PACKAGES) if not name.endswith(".dist-info"))


def _make(intact, stamp):
    """Makes `.venv`, or brings it up to date where it is `intact`; only one process at a time."""
    started = time.monotonic()
    for number in SIGNALS:
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if not intact and not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        _fail(2, f"{sys.executable} can't make environments; install {package} (Debian, Ubuntu) and run this again")
    try:
        with open(ROOT / ".venv.lock", "w") as lock:
            if not _take(lock) or _read_stamp() != stamp:
                _start_again()  # another process has made it meanwhile, or has failed to
            if VENV.is_dir() and any(VENV.iterdir()) and not (LOG.exists() or STAMP.exists()):
                _fail(2, f"{VENV} was not made by the commands in bin/, which keep theirs there; rename or remove it")
            _say(f"{'updating' if intact else 'making'} {VENV} from {LOCK.name}; this takes a few minutes")
            _install(intact, lock)
    except OSError as error:
        _fail(1, f"can't make {VENV}: {error}")
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    _say(f"{VENV} is ready after {time.monotonic() - started:.0f} s")


def _take(lock):
    """Locks the file. Returns whether it was free; otherwise waits first."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say(f"another command is making {VENV}; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return False
    return True


def _install(intact, lock):
    reason = ""
    outdated = STAMP.with_suffix(".outdated")
    if intact:
        STAMP.replace(outdated)
    else:
        if VENV.is_symlink() or VENV.is_file():
            VENV.unlink()
        elif VENV.exists():
            shutil.rmtree(VENV)
        VENV.mkdir()
        LOG.touch()  # by which it is known for ours
        # The interpreter below an environment stays when that environment is removed.
        python = getattr(sys, "_base_executable", sys.executable)
        reason = _follow([python, "-I", "-m", "venv", str(VENV)], lock)
    pip = [
        str(VENV / "bin/python"),
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--no-build-isolation",
    ]
    # Nothing but what the lock has the hash of; `promise` alone is published as source only.
    locked = ["--require-hashes", "--only-binary=:all:", "--no-binary=promise", "--requirement"]
    for step in ([*locked, _lock_of_setuptools()], [*locked, LOCK], ["--no-deps", "--editable", "."]):
        reason = reason or _follow([*pip, *map(str, step)], lock)
    if reason:
        if intact:
            outdated.replace(STAMP)  # pip undoes what fails, so the next command need not start from nothing
        _fail(1, f"the installation failed ({reason}); check network and disk, then run this again; details: {LOG}")
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text(json.dumps({"fingerprint": _fingerprint(), "entries": _entries()}))
    unfinished.replace(STAMP)


def _lock_of_setuptools():
    """A file with those lines of the lock that have to be installed before anything can be built."""
    path = VENV / "setuptools.lock"
    path.write_text("".join(re.findall(r"^setuptools==.*(?:\n .*)*\n", LOCK.read_text(), re.MULTILINE)))
    return path


def _follow(command, lock):
    """Runs a step of the installation: everything goes to the log, the main lines with the seconds so far to stderr.

    Returns why it failed, or nothing.
    """
    # Nothing is written outside the checkout: no cache, unless the caller asks for it, and no --user.
    environment = {"PIP_NO_CACHE_DIR": "1", **os.environ, "PIP_USER": "0"}
    started = time.monotonic()
    errors, disconnected = [], False
    # The child holds the lock too: if this process is killed, the next command waits until the child has ended as well.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock.fileno()],
    )
    try:
        with open(LOG, "a", buffering=1) as log:
            for line in process.stdout:
                log.write(line)
                # pip goes on with the next index, and in the end says that no package fits.
                disconnected = "connection broken by" in line or disconnected and not line.startswith("Collecting")
                if line.startswith("Installing collected packages"):
                    line = f"Installing {line.count(',') + 1} packages"
                if line.startswith(("Collecting", "Installing")):
                    _say(f"{time.monotonic() - started:4.0f} s  {line.split(' (from')[0].strip()}")
                errors += re.findall("^ *E(?:RROR|rror): *(.+)", line)
        process.wait()
    finally:
        process.kill()
    if process.returncode and disconnected:
        return "the network, or the package index in it, can't be reached"
    if process.returncode:
        return errors[-1] if errors else f"exit code {process.returncode}"
    return ""


def _stop(number, frame):
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # the way out is short
    _fail(128 + number, "installation interrupted; the next command starts it again")


def _is_folder(first, second):
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _say(message):
    print(message, file=sys.stderr, flush=True)


def _fail(code, message):
    _say(f"error: {message}")
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
