"""How much of the plain image can be got back from a protected one, by a suite.

A suite has attacks, prior-only baselines and sanity checks.

The attackers train on training images alone; test images are only what they are tried on.
"""
