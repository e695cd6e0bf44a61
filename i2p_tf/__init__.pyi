"""What type checkers know of names that are imported when they are used."""

from i2p_tf.api import attack as attack
from i2p_tf.api import evaluate as evaluate
from i2p_tf.api import export as export
from i2p_tf.api import fit as fit
from i2p_tf.api import protect as protect
from i2p_tf.client.transform import load as load

__version__: str
load_transform = load
