"""Steps are timed again while the machine's own speed moves."""

import importlib
from pathlib import Path

import pytest
from absl import flags

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Contender:
    """One whose matrix products run at given rates."""

    precision = "float32"

    def __init__(self, name, products):
        self.name, self.products, self.calls = name, iter(products), []

    def call(self, method, *_):
        self.calls.append(method)
        return float(len(self.calls)) if method == "run" else next(self.products)


@pytest.fixture
def train_step(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("train_step")
    flags.FLAGS(["train_step", "--rounds=2", "--noquick"])  # whatever another test has set
    yield module
    flags.FLAGS.unparse_flags()


def test_rounds_alternate_and_are_taken_again_until_the_machine_was_steady(train_step, capsys):
    one = Contender("one", [1e9, 1.3e9, 1e9, 1.1e9])
    other = Contender("other", [1e9] * 4)
    rows, products = [{}, {}], {}
    assert train_step.time_rounds([one, other], rows, products) == pytest.approx(1.1)
    assert one.calls == other.calls == ["run", "product"] * 4
    assert rows[0]["images_per_second"] == [5.0, 7.0]
    assert products["one", "float32"] == [1e9, 1.3e9, 1e9, 1.1e9]
    assert capsys.readouterr().err.count("moved by a factor of 1.30: again") == 1


def test_a_machine_that_is_never_steady_is_named(train_step, capsys):
    restless = Contender("one", [1e9, 2e9] * train_step.ATTEMPTS)
    assert train_step.time_rounds([restless], [{}], {}) == pytest.approx(2.0)
    assert "counted all the same" in capsys.readouterr().err
