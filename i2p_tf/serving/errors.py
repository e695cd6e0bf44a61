"""How a server fails."""


class NotServing(RuntimeError):
    """It could not start, or has ended."""
