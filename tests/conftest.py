"""The same TensorFlow settings for plain `pytest` as for `bin/test` and the commands."""

import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from i2p_tf.cli.app import ENVIRONMENT

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
# Python that a test starts in some other folder finds the package too.
os.environ["PYTHONPATH"] = str(pathlib.Path(__file__).parents[1])


@pytest.fixture
def images():
    """Eight float32 images of 16x16 in [0, 1]."""
    return np.random.default_rng(0).random((8, 16, 16, 3), dtype=np.float32)


@pytest.fixture(scope="session")
def digits():
    """The embedded data set at 16x16."""
    from i2p_tf.data import sources

    return sources.load("digits", image_size=16)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, digits):
    """A run directory with a small classifier and a tiny U-Net, both trained for a few seconds on digits."""
    import keras
    from keras import layers

    from i2p_tf import presets
    from i2p_tf.models.feature_extractor import classifier_features
    from i2p_tf.models.unet import unet
    from i2p_tf.run_dir import RunDir, write_json
    from i2p_tf.training.objective import Classification, PaperObjective, SquaredDistance
    from i2p_tf.training.trainer import TransformTrainer

    keras.utils.set_random_seed(0)
    images, labels = np.float32(digits.train.images) / 255.0, digits.train.labels
    inputs = keras.Input((16, 16, 3), name="images")
    x = inputs
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    classifier = keras.Model(inputs, layers.Dense(10, name="logits")(layers.Flatten()(x)), name="small")
    classifier.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(images, labels, batch_size=64, epochs=8, verbose=0)
    classifier.trainable = False

    transform = unet("tiny", 16)
    extractor = classifier_features(classifier)
    objective = PaperObjective(Classification(classifier), extractor, SquaredDistance(extractor(images[:500])), 0.01)
    trainer = TransformTrainer(transform, objective)
    trainer.compile(keras.optimizers.Adam(1e-2))
    trainer.fit(images, labels, batch_size=64, epochs=4, verbose=0)

    run_dir = RunDir(tmp_path_factory.mktemp("runs") / "digits_small")
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
    return run_dir


@pytest.fixture(scope="session")
def shared_bundle(tmp_path_factory, trained_run, digits):
    """The bundle of that run, with everything in it; not to be changed."""
    from i2p_tf.export import VARIANTS, bundle
    from i2p_tf.training.progress import Progress

    path = tmp_path_factory.mktemp("exports") / "digits_small"
    config = trained_run.load_config()
    bundle.export(trained_run, digits, config, path, VARIANTS, True, False, Progress())
    return path


@pytest.fixture(scope="session")
def small_export(tmp_path_factory):
    """An export of two untrained networks for 16x16 images, made in seconds; not to be changed."""
    return write_small_export(tmp_path_factory.mktemp("exports") / "small", seed=0)


@pytest.fixture(scope="session")
def other_export(tmp_path_factory):
    """As `small_export`, of another run."""
    return write_small_export(tmp_path_factory.mktemp("exports") / "small", seed=1)


def write_small_export(path, seed):
    import keras
    from keras import layers

    from i2p_tf.export import bundle, saved_model, tflite
    from i2p_tf.models.unet import unet
    from i2p_tf.run_dir import write_json

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
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    write_json(path / "manifest.json", metadata | {"files": {file.name: {"sha256": digest}}})
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
    from i2p_tf.run_dir import RunDir, write_json

    def leaked(ssim, top1, **more):
        summary = {"mean": ssim, "median": ssim, "p95": ssim + 0.05, "max": ssim + 0.09}
        decibels = {"mean": 20.0, "median": 20.0, "p95": 22.0, "max": 24.0}
        shares = {"accuracy_on_restored": 0.4, "reidentification_top1": top1, "reidentification_top5": top1}
        return {"ssim": summary, "psnr": decibels, **shares, "n": 2000, "control": False, **more}

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
            "schema": 1,
            "accuracy": {"plain": 0.8864, "protected": 0.8711, "n": 10_000},
            "confidence": {"plain": sure(0.0211), "protected": sure(0.0991), "n": 10_000},
            "confusion": {
                "classes": ["plane", "car", "bird"],
                "plain": [[3000, 300, 33], [200, 3033, 100], [100, 303, 2931]],
                "protected": [[2900, 400, 33], [200, 3033, 100], [90, 465, 2779]],
                "n": 10_000,
            },
            "transport": {"png": 0.8711, "jpeg_90": 0.8701, "jpeg_75": 0.8601, "resize_2x": 0.8501, "n": 10_000},
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
            attacks |= {f"control_{name}": inverse(1.0, 1.0, 0, control=True) for name in ("identity", "shifted")}
            attacks["control_constant"] = inverse(0.131, 0.0005, 0, control=True)
            shares = ("psnr", "accuracy_on_restored", "reidentification_top1", "reidentification_top5")
            strongest = {
                key: {"attack": "inverse_network_seed0", "value": top1, "range": [top1, top1]} for key in shares
            }
            strongest["ssim"] = {"attack": "inverse_network_seed0", "value": max(ssim), "range": [min(ssim), max(ssim)]}
            results |= {
                "attacks": attacks,
                "floors": {"mean_image": leaked(0.131, 0.0005), "label_only": leaked(0.146, 0.0025)},
                "attack_suite": {
                    "name": "quick",
                    "valid": not failed,
                    "failed_controls": list(failed),
                    "strongest": strongest,
                    "judge": {"plain": 0.54, "protected": 0.41, "n": 2000},
                    "environment": {"python": "3.11.7"},
                },
            }
            pixels = np.zeros((288, 960, 3), np.uint8)
            for column in range(10):
                pixels[:, 96 * column : 96 * (column + 1)] = 20 * column
            for attack in ("inverse_network_seed0", "floor_label_only"):
                run_dir.attack("quick", attack).mkdir(parents=True)
                Image.fromarray(pixels).save(run_dir.attack("quick", attack) / "samples.png")
        write_json(run_dir.results, results)
        write_json(run_dir.environment, {"python": "3.11.7", "gpus": []})
        return run_dir

    return write
