"""How asking a server fails. Every message names the server and what can be done."""


class ServerError(RuntimeError):
    """The server can't be asked, or its answer can't be used."""


class Unavailable(ServerError):
    """It does not answer now; the same request may succeed later."""


class NotInService(ServerError):
    """It does not serve this model or version."""


class ModelMismatch(ServerError):
    """It serves a model that the transform was not made for; nothing was sent."""
