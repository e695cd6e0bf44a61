"""How much of the plain image can be got back from a protected one: attacks, floors and controls, run as a suite.

The attackers train on training images alone; test images are only what they are tried on.
"""
