"""A suite of seconds in the place of `quick`: a process that imports this has it."""

from i2p_tf.attacks import controls, suite

BRIEF = suite.Training(steps=20, batch_size=32)
ATTACK = suite.InverseNetwork("wide", "mse", BRIEF)

suite.SUITES["quick"] = suite.Suite((ATTACK,), control=ATTACK, judge=BRIEF, test_images=50)
del controls.CONTROLS["shifted"]  # takes more training
