"""The protected image as a guess of the plain one: what an eye sees that looks at what is sent."""


def attack(specification, target, seed, say):
    """As a row of `rows.ATTACKS` has it."""
    return target.protected, {}
