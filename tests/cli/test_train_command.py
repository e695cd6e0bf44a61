"""Real trainings of embedded images through `bin/train`: two epochs, uninterrupted, stopped, killed."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

TRAIN = pathlib.Path(__file__).parents[2] / "bin" / "train"
ARGUMENTS = ["--dataset=digits", "--preset=smoke", "--image_size=16", "--epochs=2", "--batch_size=64"]
# No network in tests: the features are the classifier's own.
ENVIRONMENT = os.environ | {
    "VIRTUAL_ENV": sys.prefix,
    "https_proxy": "http://127.0.0.1:9",
    "KERAS_HOME": "/nonexistent",
}


def start(run_dir, *arguments, **options):
    command = [TRAIN, *ARGUMENTS, f"--run_dir={run_dir}", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True, **options)


def finish(process, code=0):
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == code, stderr
    return stdout, stderr


def wait_for_epoch(process, run_dir, phase):
    """Returns as soon as the first epoch of `phase` stands in metrics.jsonl."""
    deadline = time.monotonic() + 300
    while not (metrics := run_dir / "metrics.jsonl").exists() or f'"phase": "{phase}"' not in metrics.read_text():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights(run_dir, name):
    from i2p_tf import evaluation

    return evaluation.load_network(run_dir / f"{name}.keras").get_weights()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, and what the command printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    return run_dir, *finish(start(run_dir))


def test_a_run_has_its_files_and_its_table(finished):
    run_dir, stdout, _ = finished
    names = {"config.json", "environment.json", "classifier.keras", "transform.keras", "metrics.jsonl", "samples.png"}
    assert names | {"results.json"} <= {path.name for path in run_dir.iterdir()}
    results = json.loads((run_dir / "results.json").read_text())
    assert results["schema"] == 1
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
    assert Image.open(run_dir / "samples.png").size == (10 * 96, 2 * 96)


def test_the_results_are_those_of_the_saved_networks_on_8_bit_images(finished):
    from i2p_tf import evaluation
    from i2p_tf.data import sources
    from i2p_tf.run_dir import RunDir

    run_dir, _, _ = finished
    results = json.loads((run_dir / "results.json").read_text())
    test = sources.load("digits", image_size=16).test
    classifier, transform = (evaluation.load_network(getattr(RunDir(run_dir), n)) for n in ("classifier", "transform"))
    protected = evaluation.protect(transform, test.images)
    assert protected.dtype == np.uint8
    logits = np.asarray(classifier(np.float32(protected) / 255, training=False))
    assert results["accuracy"]["protected"] == np.mean(logits.argmax(axis=1) == test.labels)


def test_evaluate_gives_the_same_results_and_keeps_what_others_wrote(finished):
    run_dir, stdout, _ = finished
    before = json.loads((run_dir / "results.json").read_text())
    (run_dir / "results.json").write_text(json.dumps(before | {"attacks": {"kept": True}}))
    (run_dir / "samples.png").unlink()
    command = [TRAIN.with_name("evaluate"), f"--run_dir={run_dir}"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert result.stdout == stdout
    assert json.loads((run_dir / "results.json").read_text()) == before | {"attacks": {"kept": True}}
    assert (run_dir / "samples.png").exists()


def test_a_lost_network_is_made_again(finished, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished[0], run_dir)
    (run_dir / "classifier.keras").unlink()
    transform = (run_dir / "transform.keras").read_bytes()
    finish(start(run_dir))
    for mine, theirs in zip(weights(run_dir, "classifier"), weights(finished[0], "classifier"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (run_dir / "transform.keras").read_bytes() == transform


def test_attacks_on_another_network_do_not_stay(finished, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished[0], run_dir)
    before = json.loads((run_dir / "results.json").read_text())
    before.pop("attacks", None)  # another test leaves some
    stale = {"attacks": {}, "floors": {}, "attack_suite": {"networks": {"transform": "00", "classifier": "00"}}}
    (run_dir / "results.json").write_text(json.dumps(before | stale))
    command = [TRAIN.with_name("evaluate"), f"--run_dir={run_dir}"]
    subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
    assert json.loads((run_dir / "results.json").read_text()) == before


def test_stopped_and_killed_a_run_goes_on_to_the_same_result(finished, tmp_path):
    expected, _, _ = finished
    run_dir = tmp_path / "interrupted"

    process = start(run_dir, "--precision=auto")
    wait_for_epoch(process, run_dir, "classifier")
    process.send_signal(signal.SIGTERM)
    _, stderr = finish(process, 128 + signal.SIGTERM)
    assert "the same command goes on" in stderr

    process = start(run_dir)
    wait_for_epoch(process, run_dir, "transform")
    process.kill()
    _, stderr = finish(process, -signal.SIGKILL)
    assert "classifier: going on after epoch 1 of 2" in stderr

    _, stderr = finish(start(run_dir))
    assert "classifier 1/2" not in stderr and "classifier 2/2" not in stderr
    for network in ("classifier", "transform"):
        for mine, theirs in zip(weights(run_dir, network), weights(expected, network), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    results = [json.loads((path / "results.json").read_text())["protection"] for path in (run_dir, expected)]
    assert results[0] == results[1]


def test_a_killed_adversarial_training_goes_on_to_the_same_result(finished, tmp_path):
    classifier = finished[0] / "classifier.keras"
    arguments = [f"--classifier_path={classifier}", "--objective=adversarial", "--transform=bottleneck_small"]
    expected, run_dir = tmp_path / "expected", tmp_path / "killed"
    finish(start(expected, *arguments))
    lines = [json.loads(line) for line in (expected / "metrics.jsonl").read_text().splitlines()]
    assert {"adversary_error", "validation_adversary_gain", "distillation"} <= lines[-1].keys()

    process = start(run_dir, *arguments)
    wait_for_epoch(process, run_dir, "transform")
    process.kill()
    finish(process, -signal.SIGKILL)
    _, stderr = finish(start(run_dir, *arguments))
    assert "transform: going on after epoch 1 of 2" in stderr
    for mine, theirs in zip(weights(run_dir, "transform"), weights(expected, "transform"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    resumed = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    # The adversary and its optimizer went on too: else the second epoch would have other errors.
    assert [line["adversary_error"] for line in resumed] == [line["adversary_error"] for line in lines]


def test_a_killed_codebook_goes_on_to_the_same_result(finished, tmp_path):
    """With the pictures that it began with, found for JPEG files, of which it sends no other."""
    from i2p_tf import evaluation
    from i2p_tf.data import sources

    classifier = finished[0] / "classifier.keras"
    arguments = ["--objective=codebook", "--transform=codebook_tiny", "--transport=jpeg", "--batch_size=40"]
    arguments += [f"--classifier_path={classifier}"]
    expected, run_dir = tmp_path / "expected", tmp_path / "killed"
    _, stderr = finish(start(expected, *arguments))
    assert "codebook: 10 pictures; lowest probability of its class" in stderr

    process = start(run_dir, *arguments)
    wait_for_epoch(process, run_dir, "transform")
    process.kill()
    finish(process, -signal.SIGKILL)
    _, stderr = finish(start(run_dir, *arguments))
    assert "transform: going on after epoch 1 of 2" in stderr and "codebook: 10 pictures" not in stderr
    for mine, theirs in zip(weights(run_dir, "transform"), weights(expected, "transform"), strict=True):
        np.testing.assert_array_equal(mine, theirs)

    test = sources.load("digits", image_size=16).test
    transform = evaluation.load_network(run_dir / "transform.keras")
    assert 2 <= len(np.unique(evaluation.protect(transform, test.images), axis=0)) <= 10
    results = json.loads((run_dir / "results.json").read_text())
    assert results["transport"]["jpeg_75"] == results["accuracy"]["protected"]


def test_a_trained_classifier_can_be_given(finished, tmp_path):
    run_dir, _, _ = finished
    path = run_dir / "classifier.keras"
    finish(start(tmp_path / "run", f"--classifier_path={path}", "--epochs=1"))
    for mine, theirs in zip(weights(tmp_path / "run", "classifier"), weights(run_dir, "classifier"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"phase": "classifier"' not in metrics

    _, stderr = finish(start(tmp_path / "other", f"--classifier_path={path}", "--image_size=24"), 2)
    assert "16, 16" in stderr and "24, 24" in stderr


def test_a_classifier_of_encrypted_pictures(tmp_path):
    """It reads what the run's own key encrypts, the key stays, and nothing plain is mistaken for protected."""
    from i2p_tf import encryption, evaluation, key_file
    from i2p_tf.data import sources

    run_dir = tmp_path / "run"
    arguments = ["--encryption=le", "--epochs=6", "--batch_size=32"]
    stdout, _ = finish(start(run_dir, *arguments))
    files = {path.name for path in run_dir.iterdir()}
    assert {"classifier.keras", "encryption.key", "samples.png"} <= files and "transform.keras" not in files
    assert (run_dir / "encryption.key").stat().st_mode & 0o777 == 0o600

    results = json.loads((run_dir / "results.json").read_text())
    test = sources.load("digits", image_size=16).test
    encrypted = encryption.scheme("le", key_file.read(run_dir / "encryption.key"), 16).encrypt(test.images)
    classifier = evaluation.load_network(run_dir / "classifier.keras")
    correct = np.mean(evaluation.classify(classifier, encrypted) == test.labels)
    assert results["accuracy"]["protected"] == correct > 0.6
    assert results["cost"]["transform_macs"] == results["cost"]["transform_parameters"] == 0

    key = (run_dir / "encryption.key").read_bytes()
    again, stderr = finish(start(run_dir, *arguments))
    assert again == stdout and "classifier 1/" not in stderr
    assert (run_dir / "encryption.key").read_bytes() == key

    export = [TRAIN.with_name("export"), f"--run_dir={run_dir}"]
    refused = subprocess.run(export, env=ENVIRONMENT, capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 2 and "no transform to export" in refused.stderr
    (run_dir / "encryption.key").chmod(0o644)
    _, stderr = finish(start(run_dir, *arguments), 2)
    assert "mode 644" in stderr
    (run_dir / "encryption.key").unlink()
    _, stderr = finish(start(run_dir, *arguments), 2)
    assert "encryption.key is missing" in stderr and not (run_dir / "encryption.key").exists()


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path):
    _, stderr = finish(start(tmp_path / "run", "--learning_rate=1e30", "--clip_norm=1e30"), 1)
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("error: the loss of the classifier became")
    assert "--clip_norm=1" in last
    assert not (tmp_path / "run" / "classifier.keras").exists()


def test_a_disk_that_takes_no_more_is_one_line(tmp_path):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    _, stderr = finish(start(tmp_path / "run", preexec_fn=limit_files), 1)
    assert stderr.strip().splitlines()[-1].startswith("error: ")
    assert "checkpoints/classifier-0001.npz: File too large" in stderr
    assert "Traceback" not in stderr
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == []
