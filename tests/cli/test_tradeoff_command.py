"""bin/tradeoff: what it refuses, before anything is measured."""

import pathlib
import runpy

import pytest

from i2p_tf import presets
from i2p_tf.cli import tradeoff
from i2p_tf.files import read_json, write_json
from i2p_tf.run_dir import RunDir
from i2p_tf.tradeoff.average import average

invented = runpy.run_path(pathlib.Path(__file__).parents[1] / "tradeoff" / "invented.py")["curve"]


@pytest.fixture
def code_run(tmp_path):
    """Writes a run of a code as bin/train leaves it, with empty networks; returns its `RunDir`."""

    def write(name="run", evaluated=True, **config):
        run_dir = RunDir(tmp_path / name)
        write_json(run_dir.config, presets.code("digits").to_json() | config)
        for path in (run_dir.classifier, run_dir.transform, run_dir.reader):
            path.write_bytes(b"")
        if evaluated:
            write_json(run_dir.results, {"schema": 2, "accuracy_by_bits": {"64": 0.5, "n": 100}})
        return run_dir

    return write


def refused(run_command, *arguments, command="tradeoff"):
    code, stdout, stderr = run_command(command, *arguments)
    assert code == 2 and not stdout and stderr.count("\n") == 1
    return stderr


def test_runs_without_a_code_or_unfinished_are_refused(run_command, write_run, code_run):
    other = write_run()
    for path in (other.classifier, other.transform):
        path.write_bytes(b"")
    assert "sends no code; bin/train --preset=code" in refused(run_command, f"--run_dir={other.path}")
    run_dir = code_run("without")
    run_dir.reader.unlink()
    assert "reader.keras does not exist" in refused(run_command, f"--run_dir={run_dir.path}")
    run_dir = code_run("unmeasured", evaluated=False)
    assert "bin/evaluate --run_dir=" in refused(run_command, f"--run_dir={run_dir.path}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--run_dir is missing"),
        (["--run_dir=run", "more"], "'more'"),
        (["--run_dir=run", "--rates=64,100"], "--rates must be one of 8, 16, 32, 64, 128, 256, 512. Received: 100"),
        (["--run_dir=run", "--rates=few"], "Received: 'few'"),
        (["--run_dir=run", "--rates="], "--rates"),
        (["--run_dir=run", "--steps=0"], "--steps must be an integer of at least 1. Received: 0"),
        (["--run_dir=run", "--output=means"], "--output is for the means of several runs"),
        (["--run_dir=a,b"], "--output is missing"),
        (["--run_dir=nowhere"], "nowhere is no run directory"),
    ],
)
def test_bad_flags_are_named(run_command, arguments, words):
    assert words in refused(run_command, *arguments)


def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(run_command, code_run, tmp_path):
    first, second = code_run("a", seed=0), code_run("b", seed=1, transform="code_small")
    message = refused(run_command, f"--run_dir={first.path},{second.path}", f"--output={tmp_path / 'means'}")
    assert "transform: code_nano -> code_small" in message and "seed:" not in message
    assert not (tmp_path / "means").exists()


def test_of_several_runs_the_means_are_written_and_shown(run_command, code_run, monkeypatch, tmp_path):
    runs = [code_run(name, seed=seed) for seed, name in enumerate("ab")]
    curves = {str(run.path): invented(seed, better=0.02 * seed) for seed, run in enumerate(runs)}
    curves[str(runs[1].path)]["sanity_checks"]["failed"] = ["constant: too good"]
    monkeypatch.setattr(tradeoff, "_measure", lambda run_dir, config, rates: curves[str(run_dir.path)])
    means = tmp_path / "means"
    code, stdout, stderr = run_command("tradeoff", f"--run_dir={runs[0].path},{runs[1].path}", f"--output={means}")
    assert code == 1 and stderr == "error: not valid: sanity check constant: too good\n"
    row = read_json(means / "tradeoff.json")["rows"][0]
    assert row["gain"] == pytest.approx(0.03) and row["command"].startswith("bin/tradeoff --run_dir=a,b --rates=8,16,")
    assert "64     0.8300       0.8000   0.0300" in stdout
    assert (means / "tradeoff.png").is_file()


def test_the_report_shows_it(run_command, write_run):
    run_dir = write_run(attacked=False)
    row = {"bits": 64, "protected": 0.8, "device_only": 0.75, "gain": 0.05, "strongest_ssim": 0.2, "n": 10_000}
    row |= {"class_alone_ssim": 0.15, "ceiling_ssim": 0.4, "reidentification_top1": 0.1, "linkage": 0.3}
    write_json(run_dir.tradeoff, {"rows": [row | {"leakage": None}]})
    assert run_command("report", f"--run_dir={run_dir.path}")[0] == 0
    text = run_dir.report_markdown.read_text()
    assert "What the code is worth" in text and "+0.0500" in text
    write_json(run_dir.tradeoff, {"rows": [{}]})
    assert "tradeoff.json is damaged" in refused(run_command, f"--run_dir={run_dir.path}", command="report")


def test_recorded_trade_offs_make_a_page(run_command, tmp_path):
    write_json(tmp_path / "b.json", invented())
    write_json(tmp_path / "a.json", average([invented(0), invented(1, better=0.02)]))
    code, stdout, _ = run_command("tradeoff", f"--page={tmp_path}")
    page = (tmp_path / "README.md").read_text()
    assert code == 0 and stdout == f"{tmp_path / 'README.md'}\n"
    assert "+0.0300 (+0.0200 to +0.0400)" in page and "seed 1" in page and "`plain`, counts" in page
    assert page.index("a.png") < page.index("b.png") and (tmp_path / "b.png").is_file()


def test_a_page_of_something_else_is_refused_and_nothing_written(run_command, tmp_path):
    assert "holds no recorded measurements" in refused(run_command, f"--page={tmp_path}")
    write_json(tmp_path / "a.json", invented())
    assert "don't go with it" in refused(run_command, f"--page={tmp_path}", "--run_dir=run")
    write_json(tmp_path / "b.json", {"rows": []})
    assert "b.json is no trade-off" in refused(run_command, f"--page={tmp_path}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]
