"""The pages of recorded measurements in this repository are what their files make."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from i2p_tf.report import paper_table, record, recorded_page, tradeoff_page
from i2p_tf.tradeoff.picture import draw

RESULTS = pathlib.Path(__file__).resolve().parents[2] / "docs/results"


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def table(files):
    return paper_table.page([record.recorded(file) for file in files])


def tradeoffs(files):
    return tradeoff_page.page({file.stem: json.loads(file.read_text()) for file in files}, draw)


@pytest.mark.parametrize(("name", "make"), [("paper_table", table), ("tradeoff", tradeoffs)])
def test_a_recorded_page_shows_what_its_files_hold(name, make, tmp_path):
    files = recorded_page.records(RESULTS / name)
    page = recorded_page.write(make(files), tmp_path)
    assert page.read_bytes() == (RESULTS / name / "README.md").read_bytes()
    made, recorded = (sorted(folder.glob("*.png")) for folder in (tmp_path, RESULTS / name))
    assert [path.name for path in made] == [path.name for path in recorded]
    for ours, theirs in zip(made, recorded, strict=True):
        np.testing.assert_array_equal(*map(pixels, (ours, theirs)))
