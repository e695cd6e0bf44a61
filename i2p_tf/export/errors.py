"""How an export fails."""


class ParityError(RuntimeError):
    """An artifact does not do what the Keras model does; nothing was published."""
