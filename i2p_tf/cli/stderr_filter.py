"""Copies stdin to stdout without the lines of TensorFlow and LiteRT that are not for the user; see `stderr.py`."""

import os
import re
import sys

PREFIX = rb"[\d:.]+ +\d+ \S+:\d+\] "
NOISE = [
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR",
    rb"[IW]\d{4} " + PREFIX,  # information and warnings, which TF_CPP_MIN_LOG_LEVEL=2 is to hide from the start
    rb"E\d{4} " + PREFIX + rb".*(already registered|Unable to register cu\w+ factory)",  # TensorFlow's own packaging
    rb"E\d{4} " + PREFIX + rb".*oneDNN supports \S+ only on platforms with",  # other kernels do it
    # Where a worker of a training has ended; the others say so in a line of their own.
    rb"E\d{4} " + PREFIX + rb".*BaseCollectiveExecutor::StartAbort",
    rb"Additional GRPC error information|:UNKNOWN:Error received from peer|/job:worker/|The tasks have crashed\.",
    rb"INFO: ",  # LiteRT on its delegates
]
# Without a graphics card that CUDA can't be started is no news; with one, it is.
NO_GPU = rb"E\d{4} " + PREFIX + rb".*failed call to cuInit"
GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")


def noise() -> re.Pattern[bytes]:
    """The pattern of the lines to leave out on this machine."""
    patterns = NOISE if any(map(os.path.exists, GPU_DEVICES)) else [*NOISE, NO_GPU]
    return re.compile(b"|".join(patterns))


def main() -> None:
    leave_out = noise().match
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        _write(b"".join(line + b"\n" for line in lines if not leave_out(line)))
    if not leave_out(rest):
        _write(rest)


def _write(text):
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
