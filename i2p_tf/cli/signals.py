"""SIGINT and SIGTERM stop a command wherever they arrive: what is begun is cleaned up, and one line is printed."""

import contextlib
import signal
import sys
from collections.abc import Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM)
INSIST_SECONDS = 0.5  # after which a signal that was swallowed, or came at a bad moment, is raised again
# A signal that an extension module's own start gets as an exception becomes an ImportError, or the end of the process.
_EXTENSION_STARTS = ("ExtensionFileLoader", "BuiltinImporter")

_received = None  # the number of the last signal


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived. Files are written under temporary names, so it may be raised anywhere."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def catch() -> None:
    """From now on a signal raises `Stopped`; one that has come since the launcher began raises it at once."""
    global _received
    _received = None
    sys.unraisablehook = _report_unless_stopped
    for number in NUMBERS:
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def release() -> None:
    """The command has ended: a further signal ends the process without a word."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)
    sys.unraisablehook = sys.__unraisablehook__


def received() -> int | None:
    """The number of the signal that stops this command, whatever exception the libraries have made of it; or None."""
    return _received


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Signals wait until the block ends. In a command that is started in it they wait until it calls `catch`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def _stop(signal_number, frame):
    """Raises `Stopped`, and once more later: what is raised in a finalizer, Python prints and forgets."""
    global _received
    _received = signal_number

    def insist(_, frame):
        if not _stopping() and not _in_extension_start(frame):
            raise Stopped(signal_number)

    signal.signal(signal.SIGALRM, insist)
    signal.setitimer(signal.ITIMER_REAL, INSIST_SECONDS, INSIST_SECONDS)
    if not _in_extension_start(frame):
        raise Stopped(signal_number)


def _stopping():
    """Whether `Stopped` is on its way up and something is cleaning up behind it."""
    error = sys.exception()
    while error and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None


def _in_extension_start(frame):
    """Whether an extension module is being loaded, seen from the Python code that runs meanwhile."""
    while frame:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") and code.co_qualname.startswith(_EXTENSION_STARTS):
            return True
        frame = frame.f_back
    return False


def _report_unless_stopped(unraisable):
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
