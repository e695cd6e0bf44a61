"""Several devices do what one does: two in a process, and two processes that find each other by TF_CONFIG."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from i2p_tf.errors import InputError
from i2p_tf.recipe import Recipe
from i2p_tf.run_dir import RunDir
from i2p_tf.training import cluster
from i2p_tf.training.devices import SeveralDevices

pytestmark = pytest.mark.slow
HERE = pathlib.Path(__file__).parent
TRAIN = [
    *("--dataset=digits", "--preset=two_cores", "--image_size=16", "--training_images=64", "--batch_size=32"),
    *("--epochs=4", "--learning_rate=0.01", "--encryption=pe", "--precision=float32"),
]


def test_two_devices_have_the_gradients_and_weights_of_one():
    """Of each objective, after 20 steps in float32."""
    result = subprocess.run([sys.executable, HERE / "two_devices.py", "mirrored"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    assert found.pop("devices") == 2
    assert found.pop("overflow") == [0.5, 0.0]  # of one device alone; both leave out the step, and halve the scale
    assert set(found) >= {"classification", "paper", "adversarial", "codebook", "code"}
    for name, parts in found.items():
        for part, furthest in parts.items():
            assert furthest < 1e-5, (name, part)


@pytest.mark.parametrize(
    ("batch_size", "images", "words"),
    [
        (32, 100, "3 devices .* --batch_size must be a multiple of 3, such as 30. Received: 32"),
        (2, 100, "such as 3. Received: 2"),
        (3, 2, "3 devices can't share 2 training images"),
    ],
)
def test_what_cannot_be_shared_is_refused(batch_size, images, words):
    three = SeveralDevices("mirrored", types.SimpleNamespace(num_replicas_in_sync=3))
    with pytest.raises(InputError, match=words):
        three.check(Recipe(1, batch_size, 0.1), images)
    three.check(Recipe(1, 30, 0.1), 30)


def test_every_picture_of_a_batch_is_computed_once():
    strategy = types.SimpleNamespace(num_replicas_in_sync=4)
    parts = [SeveralDevices("multiworker", strategy, worker, 2).part(8) for worker in (0, 1)]
    assert parts == [(0, 1, 4, 5), (2, 3, 6, 7)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', (1, 2)),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}', (1, 2)),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": "0"}}', (0, 2)),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', None),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}', None),
        ('{"task": {"type": "worker", "index": 0}}', None),
        ("[1]", None),
        ("worker", None),
    ],
)
def test_tf_config_says_which_worker_it_is(text, place, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    if place:
        assert cluster.place() == place
    else:
        with pytest.raises(InputError, match="TF_CONFIG must be as .* Received: "):
            cluster.place()


@pytest.fixture
def start():
    """Starts two workers, each with its flags beside those of both; none is left over."""
    workers = []

    def start(run_dir, *flags):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, other)]
        for index, own in enumerate(flags):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            command = [sys.executable, HERE / "worker.py", *TRAIN, "--strategy=multiworker", f"--run_dir={run_dir}"]
            environment = os.environ | {"TF_CONFIG": json.dumps(task)}
            workers.append(subprocess.Popen([*command, *own], stderr=subprocess.PIPE, text=True, env=environment))
        return workers

    yield start
    for worker in workers:
        worker.kill()
        worker.communicate()


def last_line(worker):
    return worker.communicate(timeout=120)[1].splitlines()[-1]


def test_workers_with_different_configurations_are_refused(start, tmp_path):
    workers = start(tmp_path / "run", [], ["--seed=1"])
    for worker in workers:
        assert last_line(worker) == "error: a worker has another configuration than the chief: seed: 0 -> 1"
        assert worker.returncode == 2


def test_a_training_whose_worker_was_killed_goes_on_on_one_device(start, tmp_path, run_command, monkeypatch):
    from i2p_tf.inference import load_network
    from i2p_tf.models.classifiers import resnet

    run_dir = RunDir(tmp_path / "run")
    chief, other = start(run_dir.path, [], [])
    end = time.monotonic() + 300
    while not any(run_dir.checkpoints.glob("classifier-*")):
        assert chief.poll() is None and time.monotonic() < end, chief.communicate()
        time.sleep(0.05)
    other.send_signal(signal.SIGKILL)
    assert "error: another worker has ended" in last_line(chief)
    assert chief.returncode == 1

    monkeypatch.setitem(resnet.STACKWISE_BLOCKS, "resnet20", (1, 0, 0))
    never_stopped = RunDir(tmp_path / "never_stopped")
    never_stopped.path.mkdir()
    for file in (run_dir.config, run_dir.encryption_key):
        shutil.copy(file, never_stopped.path)
    for run in (run_dir, never_stopped):
        code, _, stderr = run_command("train", *TRAIN, f"--run_dir={run.path}")
        assert code == 0, stderr
        assert ("going on after epoch" in stderr) == (run is run_dir)
    weights = [load_network(run.classifier).get_weights() for run in (run_dir, never_stopped)]
    for mine, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-5)
