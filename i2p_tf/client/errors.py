"""How asking a server fails. Every message names the server and what can be done."""

_MAX_MESSAGE = 1000  # characters


class ServerError(RuntimeError):
    """The server can't be asked, or its answer can't be used.

    The message may quote the server: it is one line of printable characters, whatever that sent.
    """

    def __init__(self, message: str) -> None:
        printable = "".join(character if character.isprintable() else " " for character in message)
        super().__init__(printable[:_MAX_MESSAGE])


class Unavailable(ServerError):
    """It does not answer now; the same request may succeed later."""


class NotInService(ServerError):
    """It does not serve this model or version."""


class ModelMismatch(ServerError):
    """It serves a model that the transform was not made for; nothing was sent to this version of it."""
