import io

import pytest

from i2p_tf import moving_line
from i2p_tf.moving_line import MovingLine, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have gone by, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(moving_line.time, "monotonic", lambda: now[0])
    return now


def wait(stream, clock):
    """A step a second for a minute."""
    waiting = MovingLine(stream).wait("finding", 60)
    for count in range(1, 61):
        clock[0] += 1
        waiting.done(count)
    return stream.getvalue()


def test_a_wait_moves_on_a_terminal_and_leaves_nothing(clock):
    text = wait(Terminal(), clock)
    assert "\n" not in text and text.count("finding") == 59
    assert "finding 45/60  0:15 left" in text and text.endswith("\r\x1b[K")


def test_a_wait_says_how_far_it_is_every_ten_seconds_elsewhere(clock):
    lines = wait(io.StringIO(), clock).splitlines()
    assert lines == [f"finding {count}/60  0:{60 - count} left" for count in (10, 20, 30, 40, 50)]


def test_the_first_step_is_no_measure_for_the_others(clock):
    """In it a graph is compiled."""
    stream = io.StringIO()
    waiting = MovingLine(stream).wait("finding", 100)
    clock[0] += 30
    waiting.done(1)
    clock[0] += 10
    waiting.done(11)
    assert stream.getvalue().splitlines() == ["finding 1/100", "finding 11/100  1:29 left"]


def test_what_is_over_soon_says_nothing(clock):
    stream = io.StringIO()
    waiting = MovingLine(stream).wait("finding", 3)
    for count in range(1, 4):
        clock[0] += 1
        waiting.done(count)
    assert not stream.getvalue()


def test_a_line_that_stays_takes_the_moving_one_away():
    stream = Terminal()
    line = MovingLine(stream)
    line.show("1 of 2")
    line.say("done")
    assert stream.getvalue().endswith("1 of 2\r\x1b[Kdone\n")


def test_durations_are_those_of_a_clock():
    assert [duration(seconds) for seconds in (0.4, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]
