"""Addresses of servers: which protocol they mean, and which of them may be sent a token."""

import urllib.parse

from i2p_tf.client.interfaces import Connection
from i2p_tf.errors import InputError, unknown_name

SCHEMES = ("http", "https", "grpc", "grpcs")


def connect(server: str, model: str, token: str | None = None, certificate: str | None = None) -> Connection:
    """The connection to a model on a server, by the protocol that its address names; nothing is sent yet.

    Args:
        server, model, token, certificate: as of `client.classifier.Classifier`.

    Raises:
        InputError: if one of them can't be used.
    """
    # From here on as it was parsed: a scheme in capitals must not be taken for one without TLS.
    server, scheme, host, port = _parse(server)
    headers = {}
    if token is not None:
        if not (token and token.isascii() and token.isprintable()):
            raise InputError("the token must be one line of printable ASCII characters, and not empty")
        if scheme in ("http", "grpc") and host not in ("localhost", "127.0.0.1", "::1"):
            raise InputError(f"the token would travel unencrypted to {server}; give an https:// or grpcs:// address")
        headers["Authorization"] = f"Bearer {token}"
    if scheme in ("http", "https"):
        from i2p_tf.client.rest_connection import RestConnection

        return RestConnection(server, model, headers, certificate)
    if port is None:
        raise InputError(f"{server} has no port; TF Serving's for gRPC is 8500: {scheme}://{host}:8500")
    try:
        from i2p_tf.client.grpc_connection import GrpcConnection
    except ImportError as error:
        raise InputError(f"{scheme}:// needs grpcio and protobuf; the extra `grpc` has them") from error
    return GrpcConnection(server, model, headers, certificate)


def _parse(server):
    """The address in its normal form, and its scheme, host and port; `InputError` if it is none."""
    try:
        parts = urllib.parse.urlsplit(server)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{server!r} is no address of a server: {error}") from error
    if parts.scheme not in SCHEMES:
        raise unknown_name("kind of address", parts.scheme or server, [f"{scheme}://" for scheme in SCHEMES])
    path_is_empty = parts.path in ("", "/") or parts.scheme.startswith("http")
    if not host or parts.username or parts.query or parts.fragment or not path_is_empty:
        raise InputError(f"the address of a server has the form http://HOST:PORT. Received: {server!r}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.scheme, host, port
