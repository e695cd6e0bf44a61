"""File descriptors: how many connections they are enough for."""

import contextlib
import resource

MAX_CONNECTIONS = 1000  # of each protocol
_RESERVED = 128  # for TensorFlow, files that are read, pipes


def max_connections() -> int:
    """Raises the soft limit of this process as far as it may; returns how many connections each protocol may have."""
    wanted = 2 * MAX_CONNECTIONS + _RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_CONNECTIONS
    return max(8, (soft - _RESERVED) // 2)
