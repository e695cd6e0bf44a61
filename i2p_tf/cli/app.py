"""What all commands share: flags that are checked before TensorFlow loads, errors in one line, exit codes.

0 done, 1 failed, 2 bad input, 128 + n stopped by signal n.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from absl import flags

from i2p_tf import key_file
from i2p_tf.cli import aliases, lean_keras, signals, stderr
from i2p_tf.config import Config
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.run_dir import RunDir

# oneDNN is off by default on processors without AVX-512, where it makes a training step 1.5 times as fast.
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def run(
    documentation: str,
    command_flags: flags.FlagValues,
    main: Callable[[list[str]], int | None],
    failures: Iterable[type[Exception]] = (),
    stopped: str = "stopped",
) -> NoReturn:
    """Parses the flags, calls `main` with the positional arguments and exits.

    Args:
        documentation: what `--help` prints above the flags.
        command_flags: the command's own `absl.flags.FlagValues`.
        main: takes the list of positional arguments; returns an exit code or None for 0.
        failures: exception classes whose message is for the user (exit code 1).
        stopped: the line that is printed when a signal stops the command.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    lean_keras.install()
    _make_streams_writable()
    with stderr.filtered():
        code = _run(documentation, command_flags, main, failures, stopped)
    sys.exit(code)


def given_run_dir(arguments: list[str], path: str | None) -> RunDir:
    """The `RunDir` of a command that works on a finished run and takes no positional arguments.

    Args:
        arguments: the positional ones.
        path: the value of --run_dir.

    Raises:
        InputError: if there are arguments, or no path.
    """
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    if not path:
        raise InputError("--run_dir is missing; it is a directory that bin/train has written")
    return RunDir(path)


def finished_config(run_dir: RunDir) -> Config:
    """The `Config` of a run that has all that protects and classifies, its key included; else `InputError`."""
    config = run_dir.finished_config()
    if config.encryption:
        key_file.read(run_dir.encryption_key)
    return config


def _make_streams_writable():
    """A character that the terminal lacks is shown as its code; a stream that is closed takes all and shows nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(documentation, command_flags, main, failures, stopped):
    try:
        signals.catch()
        if {"--help", "-h", "-help"} & set(sys.argv[1:]):
            print(f"{documentation.strip()}\n\nFlags:\n{_help(command_flags)}")
            return 0
        return main(_parse(command_flags)) or 0
    except BaseException as error:
        number = signals.received()  # what it raised, a library may have turned into an error of its own
        if isinstance(error, KeyboardInterrupt):  # a library has put Python's own handler back
            number = signal.SIGINT
        if number:
            return _fail(stopped, 128 + number)
        return _failed(error, failures)
    finally:
        signals.release()


def _failed(error, failures):
    """The exit code of an exception whose message is for the user; any other one goes on."""
    match error:
        case InputError():
            return _fail(error, 2)
        case BrokenPipeError():
            return 1
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return _fail(f"{place}{error.strerror or error}", 1)
    if isinstance(error, tuple(failures)):
        return _fail(error, 1)
    raise error


def _parse(command_flags):
    try:
        return command_flags(sys.argv)[1:]
    except flags.UnrecognizedFlagError as error:
        for argument in sys.argv[1:]:
            if argument.startswith("-") and os.path.lexists(argument):
                raise InputError(
                    f"{argument!r} looks like a flag: files whose names begin with - go behind --, which ends the flags"
                ) from error
        shown = [f"--{name}" for name in aliases.shown(command_flags)]
        raise unknown_name("flag", f"--{error.flagname}", shown) from error
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error


def described(command_flags: flags.FlagValues) -> Iterator[tuple[str, str]]:
    """How each flag is given, and what it does with its default: for `--help` and for the page of the commands."""
    for name in aliases.shown(command_flags):
        flag = command_flags[name]
        default = "" if flag.boolean or flag.default in (None, []) else f" (default: {_typed(flag.default)})"
        yield f"--{name}{'' if flag.boolean else '=' + name.upper()}", f"{flag.help}{default}"


def _typed(value):
    """A default as one would type it."""
    return ",".join(value) if isinstance(value, list) else value


def _help(command_flags):
    return "\n".join(f"  {usage}\n      {help_text}" for usage, help_text in described(command_flags))


def _fail(message, code):
    print(f"\nerror: {message}" if sys.stderr.isatty() else f"error: {message}", file=sys.stderr)
    return code
