import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile

import pytest

from i2p_tf import presets
from i2p_tf.errors import InputError
from i2p_tf.files import TEMPORARY, write_atomically, write_json
from i2p_tf.run_dir import RunDir, lock_folder

CONFIG = presets.smoke("digits")
OTHER = dataclasses.replace(CONFIG, seed=7)


def test_a_failed_write_keeps_the_former_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"kept": True})
    with pytest.raises(ZeroDivisionError), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert json.loads(path.read_text()) == {"kept": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_is_joined_by_the_same_experiment_and_refuses_another(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    run_dir.claim(CONFIG)
    run_dir.classifier.write_text("trained")
    run_dir.claim(CONFIG)
    with pytest.raises(InputError) as error:
        run_dir.claim(OTHER)
    assert "seed: 0 -> 7" in str(error.value)
    assert "--overwrite" in str(error.value)
    assert run_dir.classifier.read_text() == "trained"
    assert run_dir.load_config() == CONFIG


def test_overwrite_deletes_the_files_of_the_run_and_no_others(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(CONFIG)
    run_dir.classifier.write_text("trained")
    run_dir.checkpoints.mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    run_dir.claim(OTHER, overwrite=True)
    assert run_dir.load_config() == OTHER
    assert not run_dir.classifier.exists()
    assert not run_dir.checkpoints.exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwrite_deletes_nothing_of_the_same_experiment(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    run_dir.claim(CONFIG)
    run_dir.classifier.write_text("hours of training")
    run_dir.claim(CONFIG, overwrite=True)
    assert run_dir.classifier.read_text() == "hours of training"


def test_somebody_elses_folder_is_refused_even_with_overwrite(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="no run directory"):
            RunDir(tmp_path).claim(CONFIG, overwrite)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_run_directory_is_one_clear_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="cannot write to the run directory"):
        RunDir(tmp_path / "run").claim(CONFIG)


def test_an_experiment_that_has_trained_nothing_yet_gives_way(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(CONFIG)
    run_dir.claim(OTHER)
    assert run_dir.load_config() == OTHER


def test_left_overs_of_a_killed_command_are_removed(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(CONFIG)
    with write_atomically(run_dir.checkpoints / "classifier-0001.npz") as temporary:
        temporary.write_text("half")
        left_over = temporary.with_name(temporary.name + "x")
        left_over.write_text("half")
    run_dir.claim(CONFIG)
    assert not left_over.exists()
    assert (run_dir.checkpoints / "classifier-0001.npz").exists()


def test_a_refused_command_leaves_the_folder_of_the_other_one_though_both_found_it_missing(tmp_path, monkeypatch):
    folder = tmp_path / "protected"
    with lock_folder(folder, "wait"):
        found = iter([False])  # what the second one finds at first
        monkeypatch.setattr(pathlib.Path, "is_dir", lambda path: next(found, True))
        with pytest.raises(InputError, match="another command is writing to .*; wait"), lock_folder(folder, "wait"):
            pass
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)


def test_a_run_whose_first_file_was_being_written_when_it_was_killed_goes_on(tmp_path):
    (tmp_path / f"{TEMPORARY}0123456789abcdef-x").write_text("{")
    RunDir(tmp_path).claim(CONFIG)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json"}


def test_two_commands_do_not_write_into_one_run(tmp_path):
    run_dir = RunDir(tmp_path)
    with run_dir.lock(), pytest.raises(InputError, match="another command"), RunDir(tmp_path).lock():
        pass
    with run_dir.lock():
        pass


@contextlib.contextmanager
def unprivileged():
    """Root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def read_only_run():
    """A run that its reader can't write to."""
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is for its owner alone
        os.chmod(folder, 0o755)
        run_dir = RunDir(pathlib.Path(folder) / "run")
        run_dir.claim(CONFIG)
        run_dir.path.chmod(0o555)
        yield run_dir
        run_dir.path.chmod(0o755)


def test_a_run_that_can_not_be_written_to_is_read_without_a_lock(read_only_run):
    with unprivileged(), read_only_run.reading():
        assert read_only_run.load_config() == CONFIG
    assert not (read_only_run.path / ".lock").exists()


def test_writing_to_a_run_that_can_not_be_written_to_is_one_line(read_only_run):
    with unprivileged(), pytest.raises(InputError) as error, read_only_run.lock():
        pass
    assert str(error.value) == f"cannot write to the run directory {read_only_run.path}: Permission denied"


def test_several_read_and_nobody_writes(tmp_path):
    run_dir = RunDir(tmp_path)
    refused = pytest.raises(InputError, match="another command")
    with run_dir.reading(), RunDir(tmp_path).reading(), refused, RunDir(tmp_path).lock():
        pass
    with run_dir.lock(), pytest.raises(InputError, match="another command"), RunDir(tmp_path).reading():
        pass


def test_a_record_of_pictures_that_is_damaged_is_named(tmp_path):
    run_dir = RunDir(tmp_path)
    assert run_dir.read_data() is None
    infinite = '{"class_names": [], "files": {"train": [1e999]}, "sha256": ""}'
    for content in ("{", "{}", '{"class_names": 1, "files": {}, "sha256": ""}', infinite):
        run_dir.data.write_text(content)
        with pytest.raises(InputError, match=r"data\.json is damaged"):
            run_dir.read_data()


def test_a_finished_run_has_both_networks(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(CONFIG)
    run_dir.classifier.write_text("trained")
    with pytest.raises(InputError, match="transform.keras does not exist"):
        run_dir.finished_config()
    run_dir.transform.write_text("trained")
    assert run_dir.finished_config() == CONFIG


def test_a_missing_or_damaged_configuration_is_named(tmp_path):
    with pytest.raises(InputError, match="no config.json"):
        RunDir(tmp_path).load_config()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        RunDir(tmp_path).load_config()
    (tmp_path / "config.json").write_text('{"model_type": "of another program"}')
    for overwrite in (False, True):
        with pytest.raises(InputError, match="no run directory of this version"):
            RunDir(tmp_path).claim(CONFIG, overwrite)


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "9" * 4_000, "[]", "{}", '"x"', "-1"])
@pytest.mark.parametrize(
    "name", ["image_size", "seed", "feature_batch_fraction", "adversary_weight", "transform_recipe"]
)
def test_a_configuration_of_any_values_is_one_line(name, value, tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(CONFIG)
    values = json.dumps(CONFIG.to_json() | {name: "HERE"})
    run_dir.config.write_text(values.replace('"HERE"', value))
    with pytest.raises(InputError, match="no run directory of this version") as error:
        run_dir.load_config()
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_results_of_an_earlier_version_are_read(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.results.write_text('{"schema": 1, "transport": {"png": 0.5, "n": 2}}')
    assert run_dir.read_results() == {"schema": 2, "channels": {"png": 0.5, "n": 2}}


@pytest.mark.parametrize("schema", ["3", "0", "true", '"two"', "1e999", "null"])
def test_results_of_a_later_version_are_refused(schema, tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.results.write_text(f'{{"schema": {schema}}}')
    with pytest.raises(InputError, match=r"results\.json has format .*; this version of i2p_tf reads format 2"):
        run_dir.read_results()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00{", b'{"a": "\xff"}', b"[]", b'"abc"', b"[" * 100_000, b'{"a": %s}' % (b"9" * 5_000)]
)
def test_what_holds_no_json_object_is_damaged(content, tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.attack("quick", "as_is").mkdir(parents=True)
    attacked = run_dir.attack("quick", "as_is") / "result.json"
    readers = {
        run_dir.config: run_dir.load_config,
        run_dir.results: run_dir.read_results,
        run_dir.environment: run_dir.read_environment,
        run_dir.metrics: run_dir.read_metrics,
        attacked: lambda: run_dir.read_attack("quick", "as_is"),
    }
    for path, read in readers.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged") as error:
            read()
        assert str(path) in str(error.value) and "\n" not in str(error.value)
