"""The batch that all devices of a training compute together, seen from one of them; on any Keras backend.

Device `index` of `count` has the pictures `index`, `index + count`, `index + 2 * count` ... of it, as many as any other
device. Gradients are averaged over the devices, so a mean over pictures needs nothing of this module; whatever else
depends on more than one picture does. Where one device computes, all functions give what they would without it.
"""

from typing import Any

import keras
from keras import ops

from i2p_tf.hints import Tensor


def place() -> tuple[int, Any]:
    """How many devices share the batch, and which of them this is, from 0: an integer or a scalar."""
    context = _context()
    if context is None or context.num_replicas_in_sync == 1:
        return 1, 0
    return context.num_replicas_in_sync, context.replica_id_in_sync_group


def positions(own: Any) -> Tensor:
    """Where in the whole batch the pictures of this device are, of which there are `own`."""
    count, index = place()
    return ops.arange(own) if count == 1 else ops.arange(own) * count + index


def before(position: Any) -> Any:
    """How many of the pictures of this device stand before a position in the whole batch."""
    count, index = place()
    return position if count == 1 else ops.maximum(position - index + count - 1, 0) // count


def mean(values: Tensor) -> Tensor:
    """The mean over all devices of a tensor that each of them has, with its gradient."""
    if place()[0] == 1:
        return values
    import tensorflow as tf

    return _context().all_reduce(tf.distribute.ReduceOp.MEAN, values)


def mean_of_some(values: Tensor, total: int) -> Tensor:
    """What this device adds to the mean of `total` values, if it has some of them and maybe none; see `mean`."""
    count, _ = place()
    return ops.mean(values) if count == 1 else ops.sum(values) * (count / total)


def rows(values: Tensor) -> Tensor:
    """What each device has, as the rows of one tensor, `(devices, *shape)`, with its gradient."""
    count, index = place()
    if count == 1:
        return values[None]
    # Zeros but for the own row: so one sum brings all to all.
    own = ops.reshape(ops.one_hot(index, count, dtype=values.dtype), (count, *[1] * len(values.shape)))
    return mean(own * values[None]) * count


def _context():
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
