"""bin/report: what it writes, what it refuses, and that it stays light."""

import os
import subprocess
import sys

import pytest

from i2p_tf import presets
from i2p_tf.files import read_json, write_json

PICTURES = ("overview", "class_alone", "worst", "typical", "best")  # of a run that was attacked

# Runs the command, and then says on stderr whether it has loaded TensorFlow.
PROGRAM = """
import atexit, sys
atexit.register(lambda: print("tensorflow" if "tensorflow" in sys.modules else "light", file=sys.stderr))
from i2p_tf.cli import report
report.run()
"""


def call(*arguments, cwd):
    program = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, cwd=cwd, env=os.environ)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_gets_its_report_beside_its_results(write_run, tmp_path):
    run_dir = write_run()
    before = contents(run_dir.path)
    result = call("run", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == "light\n"
    assert result.stdout.split() == ["run/report.md", "run/report.html"]
    after = contents(run_dir.path)
    assert after.items() >= before.items()
    pictures = {run_dir.path / "report" / f"{name}.png" for name in PICTURES}
    assert after.keys() - before.keys() == {run_dir.report, run_dir.path / "report.md"} | pictures
    assert all(f"](report/{path.name})".encode() in after[run_dir.path / "report.md"] for path in pictures)
    assert call("--run_dir=run", cwd=tmp_path).returncode == 0 and contents(run_dir.path) == after


def test_pictures_of_a_former_report_are_removed_and_no_others(write_run, tmp_path):
    write_run("first"), write_run("second")
    assert call("--run_dir=first,second", "--output=both", cwd=tmp_path).returncode == 0
    mine = tmp_path / "both" / "report" / "holidays.png"
    mine.write_bytes(b"mine")
    assert call("first", "--output=both", cwd=tmp_path).returncode == 0
    names = {path.name for path in mine.parent.iterdir()}
    assert names == {*(f"{name}.png" for name in PICTURES), "holidays.png"}


def test_another_experiment_in_the_folder_deletes_the_report(write_run, tmp_path):
    run_dir = write_run()
    assert call("run", cwd=tmp_path).returncode == 0
    run_dir.claim(presets.smoke("digits"), overwrite=True)
    assert not list(run_dir.path.glob("report*"))


def test_several_runs_need_a_place_of_their_own(write_run, tmp_path):
    write_run("first"), write_run("second", attacked=False)
    before = contents(tmp_path)
    refused = call("first", "second", cwd=tmp_path)
    assert refused.returncode == 2 and "--output is missing" in refused.stderr
    assert contents(tmp_path) == before
    result = call("first", "second", "--output=both", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert {path for path in contents(tmp_path).keys() - before.keys()} == {
        *(tmp_path / "both" / name for name in ("report.html", "report.md")),
        *(tmp_path / "both" / "report" / f"1_{name}.png" for name in PICTURES),
    }


ENVIRONMENT = {
    "command": "bin/train --dataset=cifar10 --preset=paper_short",
    "precision": "mixed_bfloat16",
    "processor": "a processor",
    "cores": 2,
    "packages": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    "commit": "0123456789ab",
}


@pytest.fixture
def record(write_run, tmp_path):
    """Puts the results of a run, with what its evaluation adds, into a folder of records."""

    def write(name, environment=ENVIRONMENT, **options):
        run_dir = write_run(name, **options)
        more = {"config": read_json(run_dir.config), "environment": environment, "seconds": {"transform": 1470.0}}
        write_json(tmp_path / "records" / f"{name}.json", run_dir.read_results() | more)

    (tmp_path / "records").mkdir()
    return write


def test_recorded_runs_make_one_page(record, tmp_path):
    record("first"), record("second", attacked=False, environment={}), record("third", failed=["identity"])
    result = call("--page=records", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "records/README.md\n", "light\n")
    page = (tmp_path / "records" / "README.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert list(rows) == ["first", "second", "third"]
    for words in ("cifar10, resnet20", "0.8864", "0.8711", "10,000", "2,789", "0.710 (from 0.640)", "0.760", "0.5000"):
        assert words in rows["first"]
    assert "| – | 0.100 |" in rows["first"]  # no bound; as sent
    assert rows["first"].endswith("| yes |") and "NO" in rows["third"] and "not attacked" in rows["second"]
    assert ENVIRONMENT["command"] in page and "bin/attack --run_dir=first --suite=quick --repetitions=2" in page
    assert "transform 24 min" in page and "commit 0123456789ab" in page and "is not known" in page


def test_a_record_without_its_settings_is_refused(record, write_run, tmp_path):
    record("first")
    (tmp_path / "records" / "other.json").write_bytes(write_run("other").results.read_bytes())
    before = contents(tmp_path)
    result = call("--page=records", cwd=tmp_path)
    assert result.returncode == 2 and "other.json has no part 'config'" in result.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--page=run"], ["run/config.json"]),
        (["--page=run/attacks"], ["--page=run/attacks", "NAME.json"]),
        (["--page=run", "run"], ["--page", "leave runs"]),
        ([], ["--run_dir is missing"]),
        (["nowhere"], ["nowhere", "no config.json"]),
        (["."], ["no config.json"]),
        (["run", "--output=run/results.json"], ["--output=run/results.json", "no folder"]),
        (["run", "--outptu=x"], ["Did you mean --output?"]),
        (["broken"], ["broken/results.json is damaged", "line 1"]),
        (["run", "broken", "--output=x"], ["broken/results.json is damaged"]),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, words, write_run, tmp_path):
    write_run()
    write_run("broken").results.write_text("{")
    before = contents(tmp_path)
    result = call(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    line, light = result.stderr.splitlines()
    assert line.startswith("error: ") and all(word in line for word in words) and light == "light"
    assert contents(tmp_path) == before
