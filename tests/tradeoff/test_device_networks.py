"""The classifiers that a device could run: as near to the client's cost as they get, and never above."""

import pytest

from i2p_tf.models import cost
from i2p_tf.tradeoff import device_networks
from i2p_tf.tradeoff.device_networks import ARCHITECTURES, widest

MACS = 500_000


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_is_as_wide_as_its_cost_allows(name, monkeypatch):
    monkeypatch.setattr(device_networks, "WIDEST", 16)
    build, macs = widest(name, MACS, "code_small", 32, 10)
    network = build()
    assert network.output_shape == (None, 10)
    assert cost.macs(network) == macs
    assert MACS / 2 < macs <= MACS


def test_depthwise_convolutions_are_counted():
    network = ARCHITECTURES["inverted_residuals"](2, "code_small", 32, 10)
    depthwise = [layer for layer in network.layers if "depthwise" in layer.name]
    pointwise = [layer for layer in network.layers if "conv" in layer.name and layer not in depthwise]
    counted = sum(
        layer.output.shape[1] * layer.output.shape[2] * layer.kernel.shape.num_elements() for layer in pointwise
    )
    counted += sum(layer.output.shape[1] ** 2 * 9 * layer.output.shape[3] for layer in depthwise)
    assert cost.macs(network) == counted + 8 * 10


def test_where_nothing_is_narrow_enough_there_is_none(monkeypatch):
    monkeypatch.setattr(device_networks, "WIDEST", 4)
    assert widest("plain", 10, "code_small", 32, 10) is None
