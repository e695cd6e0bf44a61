"""Memory that a training has freed stays in its process for the next step."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # parameters of mallopt(3)


def keep_freed() -> None:
    """Tells glibc not to give freed memory back; call it before TensorFlow loads. Without glibc it does nothing.

    A step frees hundreds of megabytes and wants them again in the next one. Where they happen to lie at the end of a
    heap, glibc gives them back and the system clears every page anew: up to half of the processor time of a training
    (benchmarks/NOTES.md). The process grows to what its largest step needs, and stays there.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, -1)
        mallopt(_MMAP_MAX, 0)
        mallopt(_ARENA_MAX, 1)  # heaps of threads other than the first are given back whatever the threshold
