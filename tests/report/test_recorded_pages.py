"""The pages of recorded measurements in this repository are what their files make."""

import json
import pathlib

import pytest

from i2p_tf.report import paper_table, record, recorded_page, tradeoff_page
from i2p_tf.tradeoff.picture import draw

RESULTS = pathlib.Path(__file__).resolve().parents[2] / "docs/results"


def table(files):
    return paper_table.page([record.recorded(file) for file in files])


def tradeoffs(files):
    return tradeoff_page.page({file.stem: json.loads(file.read_text()) for file in files}, draw)


@pytest.mark.parametrize(("name", "make"), [("paper_table", table), ("tradeoff", tradeoffs)])
def test_a_recorded_page_shows_what_its_files_hold(name, make, tmp_path):
    files = recorded_page.records(RESULTS / name)
    page = recorded_page.write(make(files), tmp_path)
    assert page.read_text() == (RESULTS / name / "README.md").read_text()
    pictures = {path.name for path in tmp_path.iterdir()} - {"README.md"}
    assert pictures == {path.name for path in (RESULTS / name).glob("*.png")}
