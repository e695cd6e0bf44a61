import threading
import time

import numpy as np
import pytest

from i2p_tf.channels import table
from i2p_tf.channels.arrivals import arrivals
from i2p_tf.tables import Table

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
PATIENCE = 30  # seconds, after which what is waited for will not come


@pytest.fixture
def files(monkeypatch):
    """Puts functions of an image in the place of the channels, by name."""

    def replace(functions):
        rows = [table.Channel(name, name, file=function) for name, function in functions.items()]
        monkeypatch.setattr(table, "CHANNELS", Table("channel", rows))

    return replace


def test_each_channel_gives_what_arrives_in_the_order_of_the_table(files):
    files({name: lambda image, by=by: image // by for name, by in (("c", 2), ("a", 3), ("d", 4), ("b", 5))})
    with arrivals(IMAGES) as arriving:
        found = list(arriving)
    assert [name for name, _ in found] == ["c", "a", "d", "b"]
    for (_, arrived), by in zip(found, (2, 3, 4, 5), strict=True):
        np.testing.assert_array_equal(arrived, IMAGES // by)


def test_two_channels_are_sent_before_they_are_asked_for(files):
    sent = {name: threading.Event() for name in "abcd"}
    files({name: lambda image, sent=event: sent.set() or image for name, event in sent.items()})
    with arrivals(IMAGES) as arriving:
        assert sent["a"].wait(PATIENCE) and sent["b"].wait(PATIENCE)
        assert not sent["c"].is_set()
        assert next(arriving)[0] == "a"
        assert sent["c"].wait(PATIENCE) and not sent["d"].is_set()


def test_an_error_waits_for_no_more_than_one_image(files):
    sent = {"a": 0, "b": 0}
    begun = threading.Event()

    def travel(name):
        def one(image):
            begun.set()
            sent[name] += 1
            time.sleep(0.02)
            return image

        return one

    files({name: travel(name) for name in sent})
    with pytest.raises(KeyError, match="of the one who reads"), arrivals(IMAGES):
        assert begun.wait(PATIENCE)
        raise KeyError("of the one who reads")
    assert sent["a"] < len(IMAGES) and sent["b"] == 0


def test_what_a_channel_raises_reaches_the_one_who_takes(files):
    files({"a": lambda image: image, "b": lambda image: image[9]})
    with arrivals(IMAGES) as arriving:
        next(arriving)
        with pytest.raises(IndexError):
            next(arriving)
