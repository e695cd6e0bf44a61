"""A signal stops a command wherever it arrives, and lets it clean up."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time
from absl import flags
from i2p_tf.cli import app, signals

class Finalizer:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(0.01)  # here it is raised

def main(arguments):
    try:
        if {swallowed}:
            Finalizer()
        else:
            os.kill(os.getpid(), signal.{signal})
        time.sleep(60)
    finally:
        time.sleep(3 * signals.INSIST_SECONDS)
        print("cleaned up")

app.run("", flags.FlagValues(), main, stopped="it goes on from here")
"""


# Stands in for a module of the standard library that an extension module of NumPy imports while it starts.
SECRETS = """
import os, signal, sys
os.kill(os.getpid(), signal.SIGINT)
randbits = lambda bits: 1
print("the extension has started", file=sys.stderr)
"""
START = """
import sys, time
from absl import flags
from i2p_tf.cli import app

def main(arguments):
    sys.modules.pop("secrets", None)
    sys.path.insert(0, ".")
    import numpy.random
    time.sleep(60)

app.run("", flags.FlagValues(), main)
"""

# A library that makes an error of its own of whatever stops it.
CONVERTED = """
import os, signal
from absl import flags
from i2p_tf.cli import app

def main(arguments):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        raise ImportError("initialization failed")

app.run("", flags.FlagValues(), main)
"""

BIN = pathlib.Path(__file__).parents[2] / "bin"


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_stops_a_command_even_where_python_forgets_it(signal, code, swallowed):
    script = SCRIPT.format(signal=signal, swallowed=swallowed)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert result.returncode == code, result.stderr
    assert result.stdout == "cleaned up\n"
    assert result.stderr == "error: it goes on from here\n"


def test_a_signal_waits_while_an_extension_module_starts(tmp_path):
    (tmp_path / "secrets.py").write_text(SECRETS)
    result = subprocess.run(
        [sys.executable, "-P", "-c", START], capture_output=True, text=True, timeout=50, cwd=tmp_path
    )
    assert result.returncode == 130
    assert result.stderr == "the extension has started\nerror: stopped\n"


def test_what_a_library_makes_of_a_signal_is_still_a_signal():
    result = subprocess.run([sys.executable, "-c", CONVERTED], capture_output=True, text=True, timeout=50)
    assert (result.returncode, result.stderr) == (130, "error: stopped\n")


def send_before_it_starts(number):
    """In the process that becomes the command: the signal is there already, and waits."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", [[BIN / "evaluate"], [sys.executable, "-m", "i2p_tf.cli.evaluate"]])
def test_a_signal_from_before_the_first_moment_is_answered_in_one_line(command, number, code):
    result = subprocess.run(
        command,
        env=os.environ | {"VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=50,
        preexec_fn=lambda: send_before_it_starts(number),
    )
    assert (result.returncode, result.stdout, result.stderr) == (code, "", "error: stopped\n")
