import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import i2p_tf
from i2p_tf.client import transform_file
from i2p_tf.errors import InputError

VARIANTS = ("float32", "float16", "int8", "qat")

# Stops the interpreter at the first import of anything that the base install does not bring.
NO_TENSORFLOW = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "sklearn", "matplotlib", "tensorflow_datasets"):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def bundle(shared_bundle, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(shared_bundle, tmp_path / "bundle")


def random_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def test_importing_the_package_loads_no_library():
    code = "import sys, i2p_tf; assert not {'numpy', 'ai_edge_litert', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'load_transforms'"):
        i2p_tf.load_transforms  # noqa: B018


@pytest.mark.slow
def test_client_needs_no_tensorflow(shared_bundle, tmp_path):
    code = NO_TENSORFLOW + (
        "import numpy, i2p_tf, i2p_tf.cli.protect\n"
        f"transform = i2p_tf.load_transform({str(shared_bundle)!r})\n"
        "print(transform(numpy.zeros((2, 16, 16, 3), numpy.uint8)).shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "(2, 16, 16, 3)\n", result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_metadata_and_batches(shared_bundle, digits, variant):
    transform = i2p_tf.load_transform(shared_bundle, variant, threads=2)
    assert transform.image_size == 16
    assert transform.variant == variant
    assert transform.resize_rule == "crop"
    assert transform.class_names == digits.class_names
    assert transform.codewords is None
    images = random_images(7)
    protected = transform(images)
    assert protected.dtype == np.uint8 and protected.shape == images.shape
    assert len(np.unique(protected)) > 10
    one_by_one = np.concatenate([transform(images[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(protected, one_by_one)
    assert transform(images[:0]).shape == (0, 16, 16, 3)
    np.testing.assert_array_equal(transform(images[::-2]), protected[::-2])


@pytest.mark.slow
def test_concurrent_callers_get_their_own_pictures(shared_bundle):
    batches = [random_images(1 + seed % 4, seed) for seed in range(40)]
    alone = i2p_tf.load_transform(shared_bundle, threads=1)
    expected = [alone(batch) for batch in batches]
    for threads in (1, 3):
        transform = i2p_tf.load_transform(shared_bundle, threads=threads)
        with concurrent.futures.ThreadPoolExecutor(8) as callers:
            for protected, right in zip(callers.map(transform, batches), expected, strict=True):
                np.testing.assert_array_equal(protected, right)


def in_a_forked_child(work):
    """The exit status of a child that `os.fork` makes: 0 if `work` returned, SIGALRM if it hung."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def test_a_forked_child_protects_too(small_export):
    transform = i2p_tf.load_transform(small_export, threads=2)
    images = random_images(8)
    expected = transform(images)
    with transform._runner(), transform._runner():  # as threads of the parent that are computing just then
        status = in_a_forked_child(lambda: np.testing.assert_array_equal(transform(images), expected))
    assert status == 0
    np.testing.assert_array_equal(transform(images), expected)


def test_it_can_be_pickled_and_needs_no_file_then(small_export, tmp_path):
    file = shutil.copy(small_export / "transform_float32.tflite", tmp_path)
    transform = i2p_tf.load_transform(file, threads=2)
    images = random_images(4)
    expected = transform(images)
    os.unlink(file)
    copy = pickle.loads(pickle.dumps(transform))
    assert (copy.identity, copy.threads, copy.class_names) == (transform.identity, 2, transform.class_names)
    np.testing.assert_array_equal(copy(images), expected)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        np.testing.assert_array_equal(np.concatenate(pool.map(transform, np.split(images, 2))), expected)


def with_changed_metadata(source, target, **changes):
    """A file whose model is whole and whose metadata say something else; text takes the place of all JSON."""
    content = source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        model = content[: archive.getinfo(transform_file.METADATA).header_offset]
        metadata = json.loads(archive.read(transform_file.METADATA))
    text = changes.pop("text", None) or json.dumps(metadata | changes)
    target.write_bytes(model)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(transform_file.METADATA, text)
    return target


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 1_000_000_000},
        {"image_size": 2048},  # allowed, but the model's is another
        {"image_size": 0},
        {"image_size": 16.0},
        {"image_size": "16"},
        {"codewords": 0},
        {"codewords": "ten"},
        {"resize_rule": "zoom"},
        {"resize_rule": ["crop"]},
        {"class_names": 3},
        {"class_names": [1]},
        {"run_id": None},
        {"model_sha256": 7},
        {"text": "[" * 100_000},
        {"text": '{"schema": 1, "image_size": 1e999}'},
        {"text": '{"schema": ' + "9" * 5_000 + "}"},
        {"text": '{"schema": ' + "9" * 4_000 + "}"},
        {"text": "[1]"},
        {"text": " " * (5 << 20)},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_whatever_the_metadata_say_is_one_line(changes, small_export, tmp_path):
    file = with_changed_metadata(small_export / "transform_float32.tflite", tmp_path / "changed.tflite", **changes)
    message = error_of(file)
    assert str(file) in message and len(message) < 500


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, '{"files": []}', "null", "\xff"])
def test_whatever_the_manifest_says_is_one_line(text, small_export, tmp_path):
    shutil.copy(small_export / "transform_float32.tflite", tmp_path)
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    assert "manifest.json is damaged" in error_of(tmp_path)


def test_the_manifest_of_a_later_version(small_export, tmp_path):
    shutil.copy(small_export / "transform_float32.tflite", tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": 2, "files": {}}')
    assert "manifest.json has format 2; this version of i2p_tf reads format 1" in error_of(tmp_path)


def test_two_models_of_one_run_have_two_identities(small_export, other_export):
    identities = [i2p_tf.load_transform(export).identity for export in (small_export, other_export)]
    content = (small_export / "transform_float32.tflite").read_bytes()
    with zipfile.ZipFile(small_export / "transform_float32.tflite") as archive:
        model = content[: archive.getinfo(transform_file.METADATA).header_offset]
    assert identities[0]["model"] == hashlib.sha256(model).hexdigest()[:16] != identities[1]["model"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 16, 16, 3), np.float32),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((1, 16, 32, 3), np.uint8),
        np.zeros((1, 16, 16, 4), np.uint8),
        [1, 2],
    ],
)
def test_wrong_images(shared_bundle, images):
    transform = i2p_tf.load_transform(shared_bundle)
    with pytest.raises(ValueError, match=r"`images` must be uint8 of shape \(n, 16, 16, 3\). Received: "):
        transform(images)


def error_of(*arguments, **keywords):
    with pytest.raises(InputError) as info:
        i2p_tf.load_transform(*arguments, **keywords)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_what_is_no_transform(tmp_path):
    assert "does not exist" in error_of(tmp_path / "missing")
    assert "bin/export" in error_of(tmp_path)
    for content in (b"", b"TFL3", b"x" * 100_000):
        (tmp_path / "model.tflite").write_bytes(content)
        assert "damaged" in error_of(tmp_path / "model.tflite")
    with open(tmp_path / "huge.tflite", "wb") as file:
        file.truncate(1 << 33)
    assert "more than 268,435,456 bytes" in error_of(tmp_path / "huge.tflite")
    assert "/dev/zero is no file" in error_of("/dev/zero")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "damaged" in error_of(tmp_path / "other.zip")


@pytest.mark.slow
def test_changes_after_the_export(bundle, tmp_path):
    file = bundle / "transform_float32.tflite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "was changed after its export" in error_of(bundle)
    assert "was changed after its export" in error_of(file)
    alone = shutil.copy(file, tmp_path / "alone.tflite")
    assert "the model in it is not the one that was exported" in error_of(alone)
    shutil.copy(bundle / "transform_int8.tflite", file)  # whole, but another
    assert "was changed after its export" in error_of(bundle)
    file.write_bytes(content[: len(content) // 2])
    assert "changed" in error_of(bundle)
    i2p_tf.load_transform(bundle, "int8")


@pytest.mark.slow
def test_a_file_works_without_its_bundle(bundle, tmp_path):
    alone = shutil.copy(bundle / "transform_int8.tflite", tmp_path / "für das Telefon.tflite")
    images = random_images(1)
    np.testing.assert_array_equal(i2p_tf.load_transform(alone)(images), i2p_tf.load_transform(bundle, "int8")(images))


@pytest.mark.slow
def test_wrong_settings(bundle):
    message = error_of(bundle, "int9")
    assert "'int9'" in message and "Did you mean int8?" in message and "float16" in message
    assert "threads must be at least 1. Received: 0" in error_of(bundle, threads=0)
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["files"]["transform_int8.tflite"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert "does not list transform_int8.tflite" in error_of(bundle, "int8")
    (bundle / "manifest.json").write_text("{")
    assert "damaged" in error_of(bundle)
    (bundle / "manifest.json").unlink()
    assert "it has no manifest.json" in error_of(bundle)
