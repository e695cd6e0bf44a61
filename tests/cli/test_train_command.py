"""Trainings of embedded images through bin/train: uninterrupted, stopped, killed; nearly all in this process."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from i2p_tf import encryption, inference, key_file
from i2p_tf.data import sources
from i2p_tf.run_dir import RunDir
from i2p_tf.training.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shallow_resnet20", "no_download")]

ARGUMENTS = ["--dataset=digits", "--preset=smoke", "--image_size=16", "--epochs=2", "--batch_size=64"]
# The command in a process of its own, with the same shallow network.
PROGRAM = """
from i2p_tf.models.classifiers.resnet import STACKWISE_BLOCKS
STACKWISE_BLOCKS["resnet20"] = (1, 1, 1)
from i2p_tf.cli import train
train.run()
"""
PATIENCE = 300  # seconds


@pytest.fixture(scope="module")
def no_download():
    """No network in tests: the features are the classifier's own."""

    def refuse(**arguments):
        raise Exception("URL fetch failure")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "VGG16", refuse)
        yield


@pytest.fixture(scope="module")
def train(run_command):
    """Trains into a folder, in this process; expects an exit code and returns stdout and stderr."""

    def train(run_dir, *arguments, code=0):
        returned, stdout, stderr = run_command("train", *ARGUMENTS, f"--run_dir={run_dir}", *arguments)
        assert returned == code, stderr
        return stdout, stderr

    return train


@contextlib.contextmanager
def after_an_epoch(phase, act):
    """Calls `act` as soon as the first epoch of `phase` stands in the run directory."""
    end_epoch = Progress.end_epoch

    def watched(progress, line):
        end_epoch(progress, line)
        if (line["phase"], line["epoch"]) == (phase, 1):
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "end_epoch", watched)
        yield


def what_a_kill_leaves(run_dir, copy):
    """Whatever a training has written so far, in a folder of its own."""
    return after_an_epoch("transform", lambda: shutil.copytree(run_dir, copy))


def weights(run_dir, name):
    return inference.load_network(run_dir / f"{name}.keras").get_weights()


def assert_equal_networks(name, mine, theirs):
    for weight, expected in zip(weights(mine, name), weights(theirs, name), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    """A run, and what the command printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    return run_dir, *train(run_dir)


def test_a_run_has_its_files_and_its_table(finished):
    run_dir, stdout, stderr = finished
    assert not re.search("absl::|oneDNN|cuda|cuInit|XNNPACK", stderr)
    names = {"config.json", "environment.json", "classifier.keras", "transform.keras", "metrics.jsonl", "samples.png"}
    assert names | {"results.json"} <= {path.name for path in run_dir.iterdir()}
    results = json.loads((run_dir / "results.json").read_text())
    assert results["schema"] == 2
    assert results["accuracy"]["n"] == results["protection"]["n"] == 359
    assert results["cost"]["transform_parameters"] == 33_051
    assert f"{results['accuracy']['protected']:.4f}" in stdout
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["epoch"]) for line in lines] == [
        ("classifier", 1),
        ("classifier", 2),
        ("transform", 1),
        ("transform", 2),
    ]
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["feature_extractor"]["source"] == "resnet20's own features"
    assert environment["precision"] in ("float32", "mixed_bfloat16", "mixed_float16")
    assert environment["command"].startswith("bin/train --") and "--dataset=digits" in environment["command"]
    assert "run_dir" not in environment["command"]
    assert results["environment"] == environment and results["config"]["transform"] == "tiny"
    seconds = sum(line["seconds"] for line in lines if line["phase"] == "transform")
    assert results["seconds"]["transform"] == pytest.approx(seconds, abs=0.1)
    assert Image.open(run_dir / "samples.png").size == (10 * 96, 2 * 96)


def test_the_results_are_those_of_the_saved_networks_on_8_bit_images(finished):
    run_dir, _, _ = finished
    results = json.loads((run_dir / "results.json").read_text())
    test = sources.load("digits", image_size=16).test
    classifier, transform = (inference.load_network(getattr(RunDir(run_dir), n)) for n in ("classifier", "transform"))
    protected = inference.protect(transform, test.images)
    assert protected.dtype == np.uint8
    logits = np.asarray(classifier(np.float32(protected) / 255, training=False))
    assert results["accuracy"]["protected"] == np.mean(logits.argmax(axis=1) == test.labels)


def test_evaluate_gives_the_same_results_and_keeps_what_others_wrote(finished, run_command, tmp_path):
    run_dir = shutil.copytree(finished[0], tmp_path / "run")
    before = json.loads((run_dir / "results.json").read_text())
    (run_dir / "results.json").write_text(json.dumps(before | {"attacks": {"kept": True}}))
    (run_dir / "samples.png").unlink()
    code, stdout, stderr = run_command("evaluate", f"--run_dir={run_dir}")
    assert code == 0, stderr
    assert stdout == finished[1].replace(str(finished[0]), str(run_dir))
    assert json.loads((run_dir / "results.json").read_text()) == before | {"attacks": {"kept": True}}
    assert (run_dir / "samples.png").exists()


def test_a_lost_network_is_made_again(finished, train, tmp_path):
    run_dir = shutil.copytree(finished[0], tmp_path / "run")
    (run_dir / "classifier.keras").unlink()
    transform = (run_dir / "transform.keras").read_bytes()
    train(run_dir)
    assert_equal_networks("classifier", run_dir, finished[0])
    assert (run_dir / "transform.keras").read_bytes() == transform


def test_attacks_on_another_network_do_not_stay(finished, run_command, tmp_path):
    run_dir = shutil.copytree(finished[0], tmp_path / "run")
    before = json.loads((run_dir / "results.json").read_text())
    stale = {"attacks": {}, "prior_only": {}, "attack_suite": {"networks": {"transform": "00", "classifier": "00"}}}
    (run_dir / "results.json").write_text(json.dumps(before | stale))
    code, _, stderr = run_command("evaluate", f"--run_dir={run_dir}")
    assert code == 0, stderr
    assert json.loads((run_dir / "results.json").read_text()) == before


def test_stopped_and_killed_a_run_goes_on_to_the_same_result(finished, train, tmp_path):
    """Stopped in this process, killed in one of its own, and brought to its end in this one."""
    expected, run_dir = finished[0], tmp_path / "interrupted"
    with after_an_epoch("classifier", lambda: os.kill(os.getpid(), signal.SIGTERM)):
        _, stderr = train(run_dir, "--precision=auto", code=128 + signal.SIGTERM)
    assert "the same command goes on" in stderr

    stderr = kill_after_an_epoch_of_the_transform(run_dir)
    assert "classifier: going on after epoch 1 of 2" in stderr

    _, stderr = train(run_dir)
    assert "transform: going on after epoch 1 of 2" in stderr
    assert "classifier 1/2" not in stderr and "classifier 2/2" not in stderr
    for network in ("classifier", "transform"):
        assert_equal_networks(network, run_dir, expected)
    results = [json.loads((path / "results.json").read_text())["protection"] for path in (run_dir, expected)]
    assert results[0] == results[1]


def kill_after_an_epoch_of_the_transform(run_dir):
    """Trains in a process of its own, kills it there and then, and returns what it printed on stderr."""
    command = [sys.executable, "-c", PROGRAM, *ARGUMENTS, f"--run_dir={run_dir}"]
    environment = os.environ | {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": "/nonexistent"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while '"phase": "transform"' not in (run_dir / "metrics.jsonl").read_text():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        _, stderr = process.communicate()
    assert process.returncode == -signal.SIGKILL, stderr
    return stderr


def test_a_killed_adversarial_training_goes_on_to_the_same_result(finished, train, tmp_path):
    classifier = finished[0] / "classifier.keras"
    arguments = [f"--classifier_path={classifier}", "--objective=adversarial", "--transform=bottleneck_small"]
    expected, run_dir = tmp_path / "expected", tmp_path / "killed"
    with what_a_kill_leaves(expected, run_dir):
        train(expected, *arguments)
    assert_equal_networks("classifier", expected, finished[0])
    lines = [json.loads(line) for line in (expected / "metrics.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in lines} == {"transform"}  # the classifier was given
    assert {"adversary_error", "validation_adversary_gain", "distillation"} <= lines[-1].keys()

    _, stderr = train(run_dir, *arguments)
    assert "transform: going on after epoch 1 of 2" in stderr
    assert_equal_networks("transform", run_dir, expected)
    resumed = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    # The adversary and its optimizer went on too: else the second epoch would have other errors.
    assert [line["adversary_error"] for line in resumed] == [line["adversary_error"] for line in lines]


def test_a_killed_codebook_goes_on_to_the_same_result(finished, train, tmp_path):
    """With the pictures that it began with, found for JPEG files, of which it sends no other."""
    classifier = finished[0] / "classifier.keras"
    arguments = ["--objective=codebook", "--transform=codebook_tiny", "--channel=jpeg", "--batch_size=40"]
    arguments += [f"--classifier_path={classifier}"]
    expected, run_dir = tmp_path / "expected", tmp_path / "killed"
    with what_a_kill_leaves(expected, run_dir):
        _, stderr = train(expected, *arguments)
    assert "codebook: 10 pictures; lowest probability of its class" in stderr

    _, stderr = train(run_dir, *arguments)
    assert "transform: going on after epoch 1 of 2" in stderr and "codebook: 10 pictures" not in stderr
    assert_equal_networks("transform", run_dir, expected)

    test = sources.load("digits", image_size=16).test
    transform = inference.load_network(run_dir / "transform.keras")
    assert 2 <= len(np.unique(inference.protect(transform, test.images), axis=0)) <= 10
    results = json.loads((run_dir / "results.json").read_text())
    assert results["channels"]["jpeg_75"] == results["accuracy"]["protected"]


def test_a_given_classifier_of_other_images_is_refused(finished, train, tmp_path):
    path = finished[0] / "classifier.keras"
    _, stderr = train(tmp_path / "other", f"--classifier_path={path}", "--image_size=24", code=2)
    assert "16x16" in stderr and "24x24" in stderr


def test_a_classifier_of_encrypted_pictures(train, run_command, tmp_path):
    """It reads what the run's own key encrypts, the key stays, and nothing plain is mistaken for protected."""
    run_dir = tmp_path / "run"
    arguments = ["--encryption=le", "--epochs=6", "--batch_size=32"]
    stdout, _ = train(run_dir, *arguments)
    files = {path.name for path in run_dir.iterdir()}
    assert {"classifier.keras", "encryption.key", "samples.png"} <= files and "transform.keras" not in files
    assert (run_dir / "encryption.key").stat().st_mode & 0o777 == 0o600

    results = json.loads((run_dir / "results.json").read_text())
    test = sources.load("digits", image_size=16).test
    encrypted = encryption.scheme("le", key_file.read(run_dir / "encryption.key"), 16).encrypt(test.images)
    classifier = inference.load_network(run_dir / "classifier.keras")
    correct = np.mean(inference.classify(classifier, encrypted) == test.labels)
    assert results["accuracy"]["protected"] == correct > 0.6
    assert results["cost"]["transform_macs"] == results["cost"]["transform_parameters"] == 0

    key = (run_dir / "encryption.key").read_bytes()
    again, stderr = train(run_dir, *arguments)
    assert again == stdout and "classifier 1/" not in stderr
    assert (run_dir / "encryption.key").read_bytes() == key

    code, _, stderr = run_command("export", f"--run_dir={run_dir}", f"--export={tmp_path / 'export'}")
    assert code == 2 and "no transform to export" in stderr
    (run_dir / "encryption.key").chmod(0o644)
    _, stderr = train(run_dir, *arguments, code=2)
    assert "mode 644" in stderr
    (run_dir / "encryption.key").unlink()
    _, stderr = train(run_dir, *arguments, code=2)
    assert "encryption.key is missing" in stderr and not (run_dir / "encryption.key").exists()


def test_a_loss_that_is_not_finite_stops_with_advice(train, tmp_path):
    _, stderr = train(tmp_path / "run", "--learning_rate=1e30", "--clip_norm=1e30", code=1)
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("error: the loss of the classifier became")
    assert "--clip_norm=1" in last
    assert not (tmp_path / "run" / "classifier.keras").exists()


def test_a_disk_that_takes_no_more_is_one_line(train, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        _, stderr = train(tmp_path / "run", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stderr.strip().splitlines()[-1].startswith("error: ")
    assert "checkpoints/classifier-0001.npz: File too large" in stderr
    assert "Traceback" not in stderr
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == []
