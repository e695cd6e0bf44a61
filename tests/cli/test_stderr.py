"""What TensorFlow and LiteRT write to descriptor 2 past Python; a module that stands in for TensorFlow writes it."""

import os
import signal
import subprocess
import sys

import pytest

from i2p_tf.cli import stderr_filter

STAMP = "0000 00:00:1795702705.145857    6268 "
HEADER = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"
ONEDNN = f"I{STAMP}port.cc:153] oneDNN custom operations are on. You may see slightly different numerical results"
CUINIT = f"E{STAMP}cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: UNKNOWN ERROR (303)"
NO_MEMORY = f"E{STAMP}cuda_driver.cc:100] failed to allocate 2 GB"
FATAL = (
    f"F{STAMP}cpu_feature_guard.cc:38] The TensorFlow library was compiled to use AVX instructions, but these aren't"
)

COMMAND = """
import os, sys
from absl import flags
from i2p_tf.cli import app

def main(arguments):
    print("before", file=sys.stderr)
    import tensorflow
    print("after", file=sys.stderr)
    {end}

app.run("", flags.FlagValues(), main)
"""


def run(tmp_path, lines, end="", **options):
    text = "".join(f"{line}\n" for line in lines)
    (tmp_path / "tensorflow.py").write_text(f"import os\nos.write(2, {text.encode()!r})\n")
    command = [sys.executable, "-c", COMMAND.format(end=end)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | options.pop("environment", {})
    pipe = options.pop("stderr", subprocess.PIPE)
    return subprocess.run(command, cwd=tmp_path, env=environment, stderr=pipe, text=True, timeout=60, **options)


@pytest.mark.parametrize(
    ("line", "without_gpu", "with_gpu"),
    [
        (HEADER, False, False),
        (ONEDNN, False, False),
        (f"W{STAMP}tf_tfl_flatbuffer_helpers.cc:364] Ignored output_format.", False, False),
        (f"E{STAMP}cuda_dnn.cc:8579] Unable to register cuDNN factory: one has already been", False, False),
        (f"E{STAMP}computation_placer.cc:177] computation placer already registered.", False, False),
        (f"E{STAMP}util.cc:131] oneDNN supports DT_INT32 only on platforms with AVX-512. Falling back", False, False),
        ("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", False, False),
        (CUINIT, False, True),
        (NO_MEMORY, True, True),
        (FATAL, True, True),
        ("Segmentation fault", True, True),
        ("", True, True),
    ],
)
def test_what_is_left_out(line, without_gpu, with_gpu, tmp_path, monkeypatch):
    for devices, shown in (((), without_gpu), ((tmp_path,), with_gpu)):
        monkeypatch.setattr(stderr_filter, "GPU_DEVICES", devices)
        assert (stderr_filter.noise().match(line.encode()) is None) == shown


def test_the_product_speaks_alone_and_errors_still_show(tmp_path):
    result = run(tmp_path, [HEADER, ONEDNN, NO_MEMORY, ONEDNN])
    assert result.returncode == 0
    assert sorted(result.stderr.splitlines()) == sorted(["before", "after", NO_MEMORY])


def test_who_asks_for_more_gets_it(tmp_path):
    result = run(tmp_path, [HEADER, ONEDNN], environment={"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert result.stderr.splitlines() == ["before", HEADER, ONEDNN, "after"]


def test_the_last_words_of_a_crash_arrive(tmp_path):
    result = run(tmp_path, [HEADER], end=f"os.write(2, {FATAL.encode()!r}); os.abort()")
    assert result.returncode == -signal.SIGABRT
    assert sorted(result.stderr.splitlines()) == sorted(["before", "after", FATAL])


def test_a_child_that_goes_on_does_not_hold_the_command(tmp_path):
    end = "child = os.fork(); os.execvp('sleep', ['sleep', '3']) if not child else print(child, flush=True)"
    with open(tmp_path / "log", "w+") as log:
        result = run(tmp_path, [ONEDNN], end=end, stdout=subprocess.PIPE, stderr=log)
        os.kill(int(result.stdout), 0)  # it runs
        os.kill(int(result.stdout), signal.SIGKILL)
        log.seek(0)
        assert log.read() == "before\nafter\n"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams(closed, tmp_path):
    code = COMMAND.format(end="print('x' * 9, flush=True)")
    (tmp_path / "tensorflow.py").write_text("import os")
    result = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}>&-', sys.executable, code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert (result.stdout, result.stderr) == (("", "before\nafter\n") if closed == "1" else ("x" * 9 + "\n", ""))


def test_a_terminal_that_is_not_utf_8(tmp_path):
    end = "print('h_\\u03b8 \\udcff \\u732b'); print('\\u03c8', file=sys.stderr)"
    result = run(tmp_path, [], end=end, stdout=subprocess.PIPE, environment={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert result.stdout == "h_\\u03b8 \\udcff \\u732b\n"
    assert result.stderr == "before\nafter\n\\u03c8\n"
