import io

import pytest

from i2p_tf.training import progress as module
from i2p_tf.training.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def lines_of(clock, steps, seconds):
    """What is said of an epoch of `steps`, the first of which takes half a minute longer."""
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin("classifier", 0, 1, steps, 16)
    callback = progress.callback(0)
    clock[0] += 30
    for batch in range(steps):
        clock[0] += seconds
        callback.on_train_batch_end(batch, {"loss": 1.0, "accuracy": 0.5})
    return stream.getvalue().splitlines()


def test_a_long_training_says_once_what_its_first_steps_say(clock):
    assert lines_of(clock, 100, 2.0) == ["classifier: by its first steps 3:08 left, validation not counted"]


def test_a_short_training_does_not(clock):
    assert lines_of(clock, 30, 2.0) == []


@pytest.mark.parametrize(("steps", "left"), [(20, "0:39"), (1, "0:32")])
def test_the_first_epoch_does_not_count_what_was_compiled(clock, steps, left):
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin("classifier", 0, 2, steps, 16)
    clock[0] += 30
    for batch in range(steps):
        clock[0] += 1.95
        progress.callback(0).on_train_batch_end(batch, {"loss": 1.0, "accuracy": 0.5})
    values = dict.fromkeys(("loss", "accuracy", "validation_loss", "validation_accuracy"), 0.5)
    progress.end_epoch({"epoch": 1, "seconds": 60.0} | values)
    assert stream.getvalue().endswith(f"{left} left\n")
