"""Every bad input: one line, exit code 2, TensorFlow never loaded, nothing written."""

import socket
import subprocess
import sys

import pytest
from PIL import Image

from i2p_tf.cli import aliases

# Runs a command, and then says on stdout whether it has loaded TensorFlow.
WRAPPER = """
import atexit, sys
atexit.register(lambda: print("tensorflow" if "tensorflow" in sys.modules else "light"))
from i2p_tf.cli import {command}
{command}.run()
"""


def call(command, *arguments, cwd):
    program = [sys.executable, "-c", WRAPPER.format(command=command), *arguments]
    return subprocess.run(program, capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--dataset is missing", "digits"]),
        (["--dataset=digit"], ["'digit'", "Did you mean digits?"]),
        (["--dataset=tfds:"], ["nothing after the colon"]),
        (["--dataset=folder:nowhere"], ["nowhere"]),
        (["--dataset=digits", "--preset=papre"], ["preset", "'papre'", "Did you mean paper?"]),
        (["--dataset=digits", "--classifier=resnet21"], ["classifier", "'resnet21'", "Did you mean resnet"]),
        (["--dataset=digits", "--classifer=vgg16"], ["flag", "--classifer", "Did you mean --classifier?"]),
        (["--dataset=digits", "--epochs=0"], ["epochs", "at least 1", "0"]),
        (["--dataset=digits", "--epochs=-2"], ["epochs", "-2"]),
        (["--dataset=digits", "--epochs=few"], ["--epochs=few"]),
        (["--dataset=digits", "--batch_size=0"], ["batch_size", "at least 1"]),
        (["--dataset=digits", "--feature_loss_weight=-1"], ["feature_loss_weight", "-1"]),
        (["--dataset=digits", "--feature_loss_weight=nan"], ["feature_loss_weight", "nan"]),
        (["--dataset=digits", "--feature_loss_weight=inf"], ["feature_loss_weight", "inf"]),
        (["--dataset=digits", "--learning_rate=0"], ["learning_rate", "above 0"]),
        (["--dataset=digits", "--image_size=30"], ["image_size", "32", "30"]),
        (["--dataset=digits", "--transform=huge"], ["transform", "'huge'"]),
        (["--dataset=digits", "--encryption=aes"], ["encryption", "'aes'", "'le', 'ele', 'pe', 'etc'"]),
        (
            ["--dataset=digits", "--encryption=pe", "--objective=paper", "--feature_distance=cosine"],
            ["--objective, --feature_distance", "--encryption takes its place"],
        ),
        (["--dataset=digits", "--objective=papre"], ["objective", "'papre'", "Did you mean paper?"]),
        (["--dataset=digits", "--adversary_weight=-1"], ["adversary_weight", "at least 0", "-1"]),
        (["--dataset=digits", "--distillation_weight=2"], ["distillation_weight", "at most 1", "2"]),
        (["--dataset=digits", "--precision=half"], ["precision", "'half'"]),
        (["--dataset=digits", "--strategy=mirror"], ["strategy", "'mirror'", "Did you mean mirrored?"]),
        (["--dataset=digits", "--strategy=multiworker"], ["needs TF_CONFIG", '"task": {"type": "worker", "index": 0}']),
        (["--dataset=digits", "--feature_weights=none.h5"], ["--feature_weights", "none.h5"]),
        (["--dataset=digits", "--classifier_path=none.keras"], ["--classifier_path", "none.keras"]),
        (["digits"], ["'digits'", "--help"]),
    ],
)
def test_train_refuses(arguments, words, tmp_path):
    result = call("train", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"
    assert list(tmp_path.iterdir()) == []


def folder_without_files(path):
    (path / "cat").mkdir(parents=True)
    (path / "dog").mkdir()


def folder_of_one_class(path):
    (path / "cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(path / "cat" / "1.png")


@pytest.mark.parametrize("make", [folder_without_files, folder_of_one_class])
def test_train_refuses_a_folder_that_holds_no_classes(make, tmp_path):
    make(tmp_path / "pictures")
    result = call("train", "--dataset=folder:pictures", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "pictures" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == "light\n"
    assert not (tmp_path / "runs").exists()


def test_train_refuses_a_run_directory_of_another_experiment(tmp_path):
    from i2p_tf import presets
    from i2p_tf.run_dir import RunDir

    run_dir = RunDir(tmp_path / "run")
    run_dir.claim(presets.smoke("cifar10"))
    run_dir.classifier.write_text("trained")
    result = call("train", "--dataset=digits", "--preset=smoke", "--run_dir=run", cwd=tmp_path)
    assert result.returncode == 2
    assert "dataset: cifar10 -> digits" in result.stderr
    assert "--overwrite" in result.stderr
    assert result.stdout == "light\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--run_dir is missing"]),
        (["--run_dir=nowhere"], ["nowhere", "no config.json"]),
        (["--run_dri=nowhere"], ["Did you mean --run_dir?"]),
    ],
)
def test_evaluate_refuses(arguments, words, tmp_path):
    result = call("evaluate", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--run_dir is missing"]),
        (["--run_dir=nowhere"], ["nowhere", "no config.json"]),
        (["--run_dir=nowhere", "--suite=quik"], ["unknown suite 'quik'", "Did you mean quick?"]),
        (["--run_dir=nowhere", "--seed=-1"], ["--seed", "from 0 to", "-1"]),
        (["--run_dir=nowhere", "--seed=4294967296"], ["--seed", "from 0 to", "4294967296"]),
        (["--run_dir=nowhere", "--repetitions=0"], ["--repetitions", "from 1 to", "0"]),
        (["--run_dir=run"], ["transform.keras does not exist"]),
    ],
)
def test_attack_refuses(arguments, words, tmp_path):
    from i2p_tf import presets
    from i2p_tf.run_dir import RunDir

    run_dir = RunDir(tmp_path / "run")
    run_dir.claim(presets.smoke("digits"))
    run_dir.classifier.write_text("trained")
    before = sorted(tmp_path.rglob("*"))
    result = call("attack", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("dataset", "table", "words"),
    [
        ("digits", None, ["'colour'", "'digits' has none besides the class"]),
        ("cifar100", None, ["unknown attribute of data set 'cifar100' 'colour'", "allowed: coarse_label"]),
        ("folder:pictures", None, ["'folder:pictures' has none besides the class", "attributes.csv"]),
        ("folder:pictures", "file,color,size\n", ["allowed: color, size", "Did you mean color?"]),
        ("folder:pictures", "colour\n", ["attributes.csv must begin with the line file,ATTRIBUTE,...", "'colour'"]),
    ],
)
def test_attack_refuses_an_attribute_that_the_data_have_not(dataset, table, words, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.png").touch()
    if table:
        (tmp_path / "pictures" / "attributes.csv").write_text(table)
    make_run(tmp_path / "run", dataset)
    result = call("attack", "--run_dir=run", "--attribute=colour", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("cifar11", ["unknown dataset 'cifar11'", "Did you mean cifar10?"]),
        ("digits", ["--pairs_from=digits", "suite's own attackers"]),
    ],
)
def test_attack_refuses_pairs_from_a_set_that_does_not_help(dataset, words, tmp_path):
    make_run(tmp_path / "run", "digits")
    result = call("attack", "--run_dir=run", f"--pairs_from={dataset}", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"


def make_run(path, dataset):
    """What looks like a finished run."""
    from i2p_tf import presets
    from i2p_tf.run_dir import RunDir

    run_dir = RunDir(path)
    run_dir.claim(presets.smoke(dataset))
    for network in (run_dir.classifier, run_dir.transform):
        network.write_text("trained")


def make_export(path):
    (path / "classifier" / "1").mkdir(parents=True)
    (path / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--export is missing"]),
        (["x"], ["unexpected argument 'x'"]),
        (["--export=nowhere"], ["nowhere", "bin/export"]),
        (["--export=good", "--stable=7"], ["--stable=7", "allowed: 1"]),
        (["--export=good", "--rest_port=70000"], ["70000"]),
        (["--export=good", "--rest_port=8600", "--grpc_port=8600"], ["must differ", "8600"]),
        (["--export=good", "--host=192.0.2.1"], ["port 8501 of 192.0.2.1", "--rest_port"]),
        (["--export=good", "--host=no.such.host.invalid"], ["--host=no.such.host.invalid"]),
        (["--export=good", "--docker"], ["docker", "not on PATH"]),
        (["--export=good", "--rest_prot=1"], ["Did you mean --rest_port?"]),
    ],
)
def test_serve_refuses(arguments, words, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    make_export(tmp_path / "good")
    result = call("serve", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"


@pytest.mark.parametrize("flag", ["rest_port", "grpc_port"])
def test_serve_says_which_flag_changes_a_port_that_is_taken(flag, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    make_export(tmp_path / "good")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = call("serve", "--export=good", "--rest_port=0", "--grpc_port=0", f"--{flag}={port}", cwd=tmp_path)
    assert result.returncode == 2 and result.stdout == "light\n"
    message = f"error: port {port} of 127.0.0.1: address already in use; give another one with --{flag}\n"
    assert result.stderr == message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["at least one picture"]),
        (["a.png"], ["--server is missing"]),
        (["a.png", "--server=http://127.0.0.1:1"], ["--export is missing"]),
        (["a.png", "--server=http://127.0.0.1:1", "--export=nowhere"], ["nowhere does not exist"]),
        (["a.png", "--server=http://127.0.0.1:1", "--plain"], ["--model"]),
        (["a.png", "--server=127.0.0.1:1", "--plain", "--model=m"], ["http://"]),
        (["a.png", "--server=http://127.0.0.1:1", "--plain", "--model=m", "--top=0"], ["top"]),
        (["a.png", "--server=http://127.0.0.1:1", "--plain", "--model=m", "--timeout=-1"], ["timeout"]),
        ([".", "--server=http://127.0.0.1:1", "--plain", "--model=m"], ["is a folder"]),
        (["a.png", "--server=http://127.0.0.1:1", "--plain", "--model=m", "--token_file=none"], ["--token_file=none"]),
        (["a.png", "--server=https://127.0.0.1:1", "--plain", "--model=m", "--certificate=x"], ["--certificate=x"]),
    ],
)
def test_classify_refuses(arguments, words, tmp_path):
    result = call("classify", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stdout == "light\n"


def test_demo_refuses_arguments(tmp_path):
    result = call("demo", "digits", cwd=tmp_path)
    assert result.returncode == 2 and "'digits'" in result.stderr and result.stdout == "light\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "attack", "report", "serve", "classify", "demo"])
def test_help_names_every_flag_and_loads_no_tensorflow(command, tmp_path):
    import importlib

    result = call(command, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.endswith("light\n")
    for name in aliases.shown(importlib.import_module(f"i2p_tf.cli.{command}").FLAGS):
        assert f"--{name}" in result.stdout
