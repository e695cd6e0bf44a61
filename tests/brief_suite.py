"""A suite of seconds in the place of `quick`: a process that imports this has it."""

from i2p_tf.attacks import sanity_checks, suite
from i2p_tf.attacks.specification import Training
from i2p_tf.attacks.specifications import InverseNetwork

BRIEF = Training(steps=20, batch_size=32)
ATTACK = InverseNetwork("wide", "mse", BRIEF)

suite.SUITES["quick"] = suite.Suite(
    (ATTACK,), sanity_checks=(ATTACK,), evaluation_classifier=BRIEF, label_only=BRIEF, test_images=50
)
del sanity_checks.SANITY_CHECKS["shifted"]  # takes more training
