"""A signal stops a command wherever it arrives, and lets it clean up."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time
from absl import flags
from i2p_tf.cli import app

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
        time.sleep(3 * app.INSIST_SECONDS)
        print("cleaned up")

app.run("", flags.FlagValues(), main, stopped="it goes on from here")
"""


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_stops_a_command_even_where_python_forgets_it(signal, code, swallowed):
    script = SCRIPT.format(signal=signal, swallowed=swallowed)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert result.returncode == code, result.stderr
    assert result.stdout == "cleaned up\n"
    assert ("Exception ignored" in result.stderr) == swallowed
    assert result.stderr.endswith("error: it goes on from here\n")
