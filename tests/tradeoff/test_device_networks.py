"""The classifiers that a device could run: as near to the client's cost as they get, and never above."""

import keras
import pytest

from i2p_tf.models import cost
from i2p_tf.tradeoff import device_networks
from i2p_tf.tradeoff.device_networks import ARCHITECTURES, widest


@pytest.mark.parametrize("name", ["early_strides", "inverted_residuals", "residual", "plain"])
def test_it_is_as_wide_as_its_cost_allows(name, monkeypatch):
    monkeypatch.setattr(device_networks, "WIDEST", 4)
    macs = cost.macs(ARCHITECTURES[name](2, 16, 10))
    build, found = widest(name, macs, 16, 10)
    assert found == macs == cost.macs(build())
    assert widest(name, macs - 1, 16, 10)[1] < macs


def test_depthwise_convolutions_are_counted():
    network = ARCHITECTURES["inverted_residuals"](2, 16, 10)
    depthwise = [layer for layer in network.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    pointwise = [layer for layer in network.layers if type(layer) is keras.layers.Conv2D]
    counted = sum(
        layer.output.shape[1] * layer.output.shape[2] * layer.kernel.shape.num_elements() for layer in pointwise
    )
    counted += sum(layer.output.shape[1] ** 2 * 9 * layer.output.shape[3] for layer in depthwise)
    assert cost.macs(network) == counted + 8 * 10


def test_where_nothing_is_narrow_enough_there_is_none(monkeypatch):
    monkeypatch.setattr(device_networks, "WIDEST", 4)
    assert widest("plain", 10, 16, 10) is None
