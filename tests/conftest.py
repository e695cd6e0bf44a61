"""The same TensorFlow settings for plain `pytest` as for `bin/test` and the commands."""

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib
import io
import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys

import numpy as np
import pytest

from i2p_tf.cli import lean_keras
from i2p_tf.cli.app import ENVIRONMENT

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    lean_keras.install()
# Python that a test starts in some other folder finds the package too.
TESTS = pathlib.Path(__file__).parent
os.environ["PYTHONPATH"] = str(TESTS.parent)


@pytest.fixture(scope="session")
def run_command():
    """Runs bin/NAME in this process, where TensorFlow is loaded: name and flags -> exit code, stdout, stderr."""

    def run(name, *arguments):
        command = importlib.import_module(f"i2p_tf.cli.{name}")
        command.FLAGS.unparse_flags()  # what an earlier call has set
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
        stdout, stderr = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [name, *map(str, arguments)])
            patch.setenv("KERAS_BACKEND", "tensorflow")
            try:
                with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                    command.run()
            except SystemExit as end:
                return end.code, stdout.getvalue(), stderr.getvalue()
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        raise AssertionError(f"bin/{name} has not exited")

    return run


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Makes a folder once for all workers: name, function that makes the path it is called with -> that path.

    The first worker to ask makes it, others wait meanwhile. What is made there is not to be changed.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def once(name, make):
        path = shared / "once" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".lock"), "a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if not lock.read():
                make(path)
                lock.write("made")
        return path

    return once


@pytest.fixture(scope="module")
def shallow_resnet20():
    """A ResNet-20 with one residual block a stage instead of three: commands that train take a third of the time."""
    from i2p_tf.models.classifiers.resnet import STACKWISE_BLOCKS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STACKWISE_BLOCKS, "resnet20", (1, 1, 1))
        yield


@pytest.fixture
def brief_suite(monkeypatch):
    """What brief_suite.py does, in this process and until the test ends."""
    from i2p_tf.attacks import sanity_checks, suite

    monkeypatch.setitem(suite.SUITES, "quick", suite.SUITES["quick"])
    monkeypatch.setattr(sanity_checks, "SANITY_CHECKS", sanity_checks.SANITY_CHECKS.copy())
    runpy.run_path(TESTS / "brief_suite.py")


# These take longest, from the longest on. Begun first, none is left over for one of two processes in the end.
LONG = ("test_train_command", "test_run", "test_demo_command", "test_train_step", "test_gan", "test_inverse_network")


def pytest_collection_modifyitems(items):
    """Files of `LONG` first, the others as they were."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture
def images():
    """Eight float32 images of 16x16 in [0, 1]."""
    return np.random.default_rng(0).random((8, 16, 16, 3), dtype=np.float32)


@pytest.fixture
def policy(request):
    """A dtype policy, of those that a test is parametrised with, that this machine computes with."""
    from i2p_tf.training import precision

    if request.param == "mixed_bfloat16" and not precision.computes_bfloat16():
        pytest.skip("ONEDNN_MAX_CPU_ISA holds oneDNN below what TensorFlow needs for bfloat16 on this processor")
    return request.param


@pytest.fixture(scope="session")
def digits():
    """The embedded data set at 16x16."""
    from i2p_tf.data import sources

    return sources.load("digits", image_size=16)


@pytest.fixture(scope="session")
def trained_run(once, digits):
    """A run directory with a small classifier and a tiny U-Net, both trained for a few seconds on digits."""
    from i2p_tf.run_dir import RunDir

    return RunDir(once("digits_small", lambda path: train_run(path, digits)))


def train_run(path, digits):
    import keras
    from keras import layers

    from i2p_tf import presets
    from i2p_tf.files import write_json
    from i2p_tf.models.feature_extractor import classifier_features
    from i2p_tf.models.transforms.unet import unet
    from i2p_tf.objectives.classification import Classification
    from i2p_tf.objectives.feature_distance import SquaredDistance
    from i2p_tf.objectives.paper import PaperObjective
    from i2p_tf.objectives.trainer import TransformTrainer
    from i2p_tf.run_dir import RunDir

    keras.utils.set_random_seed(0)
    images, labels = np.float32(digits.train.images) / 255.0, digits.train.labels
    inputs = keras.Input((16, 16, 3), name="images")
    x = inputs
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    classifier = keras.Model(inputs, layers.Dense(10, name="logits")(layers.Flatten()(x)), name="small")
    classifier.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.optimizer.build(classifier.trainable_variables)  # else the step is traced twice
    classifier.fit(images, labels, batch_size=64, epochs=8, verbose=0)
    classifier.trainable = False

    transform = unet("tiny", 16)
    extractor = classifier_features(classifier)
    objective = PaperObjective(Classification(classifier), extractor, SquaredDistance(extractor(images[:500])), 0.01)
    trainer = TransformTrainer(transform, objective)
    trainer.compile(keras.optimizers.Adam(1e-2))
    trainer.optimizer.build(transform.trainable_variables)
    trainer.fit(images, labels, batch_size=64, epochs=4, verbose=0)

    run_dir = RunDir(path)
    run_dir.path.mkdir()
    classifier.save(run_dir.classifier)
    transform.save(run_dir.transform)
    # As it was trained: the variant qat goes on with this.
    config = dataclasses.replace(
        presets.smoke("digits"),
        transform="tiny",
        image_size=16,
        augmentation="none",
        feature_weights="classifier",
        feature_distance="squared",
        feature_loss_weight=0.01,
    )
    write_json(run_dir.config, config.to_json())


@pytest.fixture(scope="session")
def shared_bundle(once, trained_run, digits):
    """The bundle of that run, with everything in it; not to be changed."""
    from i2p_tf.export import VARIANTS, bundle
    from i2p_tf.training.progress import Progress

    def export(path):
        bundle.export(trained_run, digits, trained_run.load_config(), path, VARIANTS, True, False, Progress())

    return once("bundles/digits_small", export)


@pytest.fixture(scope="session")
def small_export(once):
    """An export of two untrained networks for 16x16 images, made in seconds; not to be changed."""
    return once("small_exports/small", lambda path: write_small_export(path, seed=0))


@pytest.fixture(scope="session")
def other_export(once):
    """As `small_export`, of another run."""
    return once("other_exports/small", lambda path: write_small_export(path, seed=1))


def write_small_export(path, seed):
    import keras
    from keras import layers

    from i2p_tf.export import bundle, saved_model, tflite
    from i2p_tf.files import write_json
    from i2p_tf.models.transforms.unet import unet

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    classifier = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(layers.Conv2D(8, 3, strides=2)(inputs))))
    transform = unet("tiny", 16)
    metadata = {
        "run_id": bundle.run_id(classifier, transform),
        "image_size": 16,
        "resize_rule": "crop",
        "class_names": [f"class {index}" for index in range(10)],
    }
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    path.mkdir(parents=True)
    saved_model.export_classifier(
        classifier, metadata["class_names"], metadata["run_id"], images, path / "classifier" / "1"
    )
    file = path / "transform_float32.tflite"
    file.write_bytes(tflite.with_metadata(tflite.float_model(transform, "float32"), metadata | {"variant": "float32"}))
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    digests = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    write_json(path / "manifest.json", metadata | {"files": digests})
    return path


class Server:
    """`bin/serve` in a process of its own.

    Attributes:
        rest, grpc: its addresses, as `http://...` and `host:port`.
        process: a `subprocess.Popen`.
        log: path of the file of its stderr.
    """

    def __init__(self, folder, *arguments):
        self.log = folder / "stderr"
        command = [sys.executable, "-m", "i2p_tf.cli.serve", "--rest_port=0", "--grpc_port=0", *map(str, arguments)]
        environment = os.environ | {"PATH": "/usr/bin:/bin"}  # no tensorflow_model_server
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.rest, grpc_address = re.search(r"(http://\S+) grpc://(\S+)", line).groups()
        self.grpc = grpc_address

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def start_server(tmp_path):
    """Starts a `Server` with these arguments; it ends with the test."""
    servers = []

    def start(*arguments):
        servers.append(Server(tmp_path, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def stand_in(small_export, tmp_path_factory):
    """A `Server` of `small_export`, for tests that leave it as it is."""
    server = Server(tmp_path_factory.mktemp("server"), f"--export={small_export}")
    yield server
    server.stop()


@pytest.fixture
def write_run(tmp_path):
    """Writes a run as bin/train, bin/evaluate and bin/attack leave it, with invented figures; returns its `RunDir`."""
    from PIL import Image

    from i2p_tf import presets
    from i2p_tf.files import write_json
    from i2p_tf.run_dir import RunDir

    def leaked(ssim, top1, **more):
        summary = {"mean": ssim, "median": ssim, "p95": ssim + 0.05, "max": ssim + 0.09}
        decibels = {"mean": 20.0, "median": 20.0, "p95": 22.0, "max": 24.0}
        shares = {"accuracy_on_reconstructed": 0.4, "reidentification_top1": top1, "reidentification_top5": top1}
        return {"ssim": summary, "psnr": decibels, **shares, "n": 2000, "sanity_check": False, **more}

    def sure(error):
        rejection = {"1.0": 0.88, "0.9": 0.92, "0.8": 0.95, "0.5": 0.99}
        return {"expected_calibration_error": error, "rejection": rejection, "accuracy_top5": 0.98}

    def inverse(ssim, top1, seed, **more):
        return leaked(ssim, top1, seed=seed, pairs=10_000, threat_model="T1", attack="inverse_network", **more)

    def write(name="run", ssim=(0.71, 0.64), top1=0.5, failed=(), attacked=True, **config):
        run_dir = RunDir(tmp_path / name)
        run_dir.path.mkdir()
        write_json(run_dir.config, presets.paper_two_cores("cifar10").to_json() | config)
        summary = {"mean": 0.1, "median": 0.1, "p95": 0.2, "max": 0.3}
        results = {
            "schema": 2,
            "accuracy": {"plain": 0.8864, "protected": 0.8711, "n": 10_000},
            "confidence": {"plain": sure(0.0211), "protected": sure(0.0991), "n": 10_000},
            "confusion": {
                "classes": ["plane", "car", "bird"],
                "plain": [[3000, 300, 33], [200, 3033, 100], [100, 303, 2931]],
                "protected": [[2900, 400, 33], [200, 3033, 100], [90, 465, 2779]],
                "n": 10_000,
            },
            "channels": {"png": 0.8711, "jpeg_90": 0.8701, "jpeg_75": 0.8601, "resize_2x": 0.8501, "n": 10_000},
            "protection": {"ssim": summary, "psnr": summary, "n": 10_000},
            "cost": {
                "transform_macs": 48_857_088,
                "classifier_macs": 40_551_040,
                "transform_parameters": 537_459,
                "classifier_parameters": 269_722,
            },
            "bytes": {"raw": 3072, "plain_png": 2345.6, "protected_png": 2789.4, "n": 10_000},
        }
        if attacked:
            attacks = {"as_is": leaked(0.1, 0.0005, seed=None, pairs=0, threat_model="T0")}
            attacks |= {f"inverse_network_seed{seed}": inverse(value, top1, seed) for seed, value in enumerate(ssim)}
            attacks |= {
                f"sanity_check_{name}": inverse(1.0, 1.0, 0, sanity_check=True) for name in ("identity", "shifted")
            }
            attacks["sanity_check_constant"] = inverse(0.131, 0.0005, 0, sanity_check=True)
            shares = ("psnr", "accuracy_on_reconstructed", "reidentification_top1", "reidentification_top5")
            strongest = {
                key: {"attack": "inverse_network_seed0", "value": top1, "range": [top1, top1]} for key in shares
            }
            strongest["ssim"] = {"attack": "inverse_network_seed0", "value": max(ssim), "range": [min(ssim), max(ssim)]}
            results |= {
                "attacks": attacks,
                "prior_only": {"mean_image": leaked(0.131, 0.0005), "label_only": leaked(0.146, 0.0025)},
                "attack_suite": {
                    "name": "quick",
                    "valid": not failed,
                    "failed_sanity_checks": list(failed),
                    "strongest": strongest,
                    "evaluation_classifier": {"plain": 0.54, "protected": 0.41, "n": 2000},
                    "environment": {"python": "3.11.7"},
                },
            }
            pixels = np.zeros((288, 960, 3), np.uint8)
            for column in range(10):
                pixels[:, 96 * column : 96 * (column + 1)] = 20 * column
            for attack in ("inverse_network_seed0", "prior_only_label_only"):
                run_dir.attack("quick", attack).mkdir(parents=True)
                Image.fromarray(pixels).save(run_dir.attack("quick", attack) / "samples.png")
        write_json(run_dir.results, results)
        write_json(run_dir.environment, {"python": "3.11.7", "gpus": []})
        return run_dir

    return write
