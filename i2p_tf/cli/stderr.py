"""Keeps from stderr what TensorFlow and LiteRT say to nobody: their C++ code writes to descriptor 2, past any setting.

`sys.stderr` gets a descriptor of its own, the same terminal or file as before. Once one of the two libraries is to be
imported, descriptor 2 becomes a pipe to `stderr_filter.py`: a process of its own, so that the last words of a crash
arrive too. Programs that a command starts get `stderr=descriptor()`.
"""

import contextlib
import importlib.abc
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

LIBRARIES = ("tensorflow", "ai_edge_litert")
_FILTER = pathlib.Path(__file__).with_name("stderr_filter.py")
_END_SECONDS = 1.0  # that the filter may take for what is left; a process that was forked may hold the pipe open


@contextlib.contextmanager
def filtered() -> Iterator[None]:
    """While the block runs, stderr says what is for the user alone."""
    filter_ = _Filter() if _is_wanted() else None
    if filter_:
        sys.meta_path.insert(0, filter_)
    try:
        yield
    finally:
        if filter_:
            filter_.end()


def descriptor() -> int | None:
    """Of `sys.stderr`, for a program that is started; None, which is 2 there, if that is no file."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError):
        return None


def _is_wanted():
    """Not where there is no stderr, where it is another file already, or where TensorFlow is asked to say more."""
    return descriptor() == 2 and os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") not in ("0", "1")


class _Filter(importlib.abc.MetaPathFinder):
    """Finds no module: it waits for the first of the libraries."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.stream = sys.stderr
        encoding, errors = self.stream.encoding, self.stream.errors
        self.descriptor = os.dup(2)
        sys.stderr = open(self.descriptor, "w", buffering=1, encoding=encoding, errors=errors)  # noqa: SIM115

    def find_spec(self, name, path=None, target=None):
        if name in LIBRARIES:
            self._unhook()
            self._start()

    def end(self):
        self._unhook()
        sys.stderr.flush()
        if self.process:
            os.dup2(self.descriptor, 2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)

    def _unhook(self):
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def _start(self):
        reading, writing = os.pipe()
        # In a session of its own it gets no Ctrl-C: it ends when all is said.
        command = [sys.executable, "-I", "-S", str(_FILTER)]
        with contextlib.suppress(OSError):  # no process to be had: then the lines are there
            self.process = subprocess.Popen(
                command, stdin=reading, stdout=self.descriptor, stderr=subprocess.DEVNULL, start_new_session=True
            )
            os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)
