import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from i2p_tf.serving.stand_in import responses


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).random((3, 10), np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros((0, 10), np.float32),
        np.arange(6).reshape(2, 3),
        np.array([b"cat", b"\xff\x00", b""], object),
        np.array([[b"a", b"b"], [b"c", b"d"]], object),
        np.array([], object),
    ],
    ids=["floats", "one float", "no floats", "numbers", "names", "two axes", "no names"],
)
def test_a_tensor_is_written_as_tensorflow_writes_it(array):
    proto = tensor_pb2.TensorProto()
    responses.write_tensor(proto, array)
    assert proto == tf.make_tensor_proto(array, tf.string if array.dtype == object else None, array.shape)
