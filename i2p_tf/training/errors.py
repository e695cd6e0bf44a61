"""How a training fails."""


class TrainingError(RuntimeError):
    """The training can't go on; the message says what to try."""
