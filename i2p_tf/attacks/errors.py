"""How an attack fails to be carried out."""


class AttackError(RuntimeError):
    """The attack can't go on; the message says why and what to try."""
