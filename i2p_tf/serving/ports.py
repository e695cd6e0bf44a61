"""Sockets that are bound before TensorFlow loads, so that a taken port is known at once. Standard library only."""

import socket

from i2p_tf.errors import InputError


def bind(host: str, port: int, flag: str) -> socket.socket:
    """A TCP socket that is bound to a port and does not listen yet.

    Args:
        host: name or address of an interface of this machine.
        port: its port; 0 for any free one.
        flag: the flag that chooses the port, for the message.

    Raises:
        InputError: if the port is taken or may not be used, or the host is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # Without the protocol asyncio would not set TCP_NODELAY, and small answers would wait for 40 ms.
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"--host={host} is no address of this machine: {error.strerror}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(
            f"port {port} of {host}: {(error.strerror or str(error)).lower()}; give another one with {flag}"
        ) from error
    return bound


def free(host: str, port: int, flag: str) -> int:
    """Number of the port that `bind` would give, let go again for a server that opens it itself."""
    with bind(host, port, flag) as bound:
        return bound.getsockname()[1]
