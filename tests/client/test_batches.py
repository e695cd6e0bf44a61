from i2p_tf.client import batches
from i2p_tf.client.batches import Batches


def taken(given):
    return list(given.take())


def test_batches_grow_until_they_take_as_long_as_they_should():
    given, sizes = Batches(range(1000), image_size=32), []
    while batch := taken(given):
        sizes.append(len(batch))
        given.took(len(batch), len(batch) * batches.SECONDS / 10)
    assert sizes[:5] == [1, 2, 4, 8, 10] and sum(sizes) == 1000


def test_slow_pictures_go_one_by_one():
    given = Batches(range(10), image_size=32)
    assert taken(given) == [0]
    given.took(1, 100 * batches.SECONDS)
    assert taken(given) == [1]


def test_a_batch_ends_when_its_time_is_over(monkeypatch):
    given = Batches(range(100), image_size=32)
    for _ in range(5):
        given.took(64, batches.SECONDS / 64)
    clock = iter(range(100))
    monkeypatch.setattr(batches.time, "monotonic", lambda: next(clock) * batches.SECONDS * 0.4)
    assert taken(given) == [0, 1, 2]


def test_large_images_are_few():
    given = Batches(range(100), image_size=2048)
    given.took(64, batches.SECONDS / 64)
    assert taken(given) == [0]
