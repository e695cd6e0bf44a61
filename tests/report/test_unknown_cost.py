"""MACs that could not be counted are said to be unknown wherever they are shown."""

from i2p_tf import evaluation
from i2p_tf.export import card
from i2p_tf.report import tables
from i2p_tf.results import check

COST = {
    "transform_macs": 1_000_000,
    "classifier_macs": None,
    "transform_parameters": 10,
    "classifier_parameters": 20,
}


def test_unknown_macs_are_said_to_be_unknown(write_run):
    run_dir = write_run("run")
    results = run_dir.read_results() | {"cost": COST}
    check(results)
    assert tables.relative_cost(results) == "unknown"
    assert [row[1:3] for row in tables.cost(results).rows] == [("1.00", "unknown"), ("unknown", "unknown")]
    assert "| unknown" in next(line for line in card._measured(results).splitlines() if "MACs" in line)
    line = next(line for line in evaluation.table(results).splitlines() if line.startswith("classifier, million"))
    assert "unknown" in line
