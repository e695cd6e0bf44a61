import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

import i2p_tf
from i2p_tf import forms, inference, models
from i2p_tf.client.manifest import Manifest
from i2p_tf.errors import InputError
from i2p_tf.export import bundle, tflite
from i2p_tf.export.errors import ParityError
from i2p_tf.run_dir import RunDir, lock_folder
from i2p_tf.training.progress import Progress

pytestmark = pytest.mark.slow

INTEGER_OPERATORS = {"QUANTIZE", "CONV_2D", "MAX_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "CONCATENATION", "LOGISTIC"}


@pytest.fixture
def copy(shared_bundle, tmp_path):
    return shutil.copytree(shared_bundle, tmp_path / "bundle")


def export(run_dir, digits, path, variants=(), with_saved_models=False, allow_loss=False):
    config = run_dir.load_config()
    return bundle.export(run_dir, digits, config, path, variants, with_saved_models, allow_loss, Progress())


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_every_variant_does_what_the_keras_model_does(shared_bundle, trained_run, digits):
    classifier = inference.load_network(trained_run.classifier)
    transform = inference.load_network(trained_run.transform)
    images, labels = digits.test.images, digits.test.labels
    expected = inference.protect(transform, images)
    accuracy = np.mean(inference.classify(classifier, expected) == labels)
    assert accuracy > 0.8  # else equal accuracies would say nothing
    manifest = json.loads((shared_bundle / "manifest.json").read_text())
    assert set(manifest) == Manifest.__required_keys__
    forms.require(manifest, Manifest, "")
    assert set(manifest["variants"]) == {"float32", "float16", "int8", "qat"}
    for variant, entry in manifest["variants"].items():
        protected = i2p_tf.load_transform(shared_bundle, variant)(images)
        within = np.mean(np.abs(protected.astype(int) - expected) <= 1)
        assert within >= 0.999 or variant not in tflite.FLOAT_VARIANTS
        own = np.mean(inference.classify(classifier, protected) == labels)
        assert own >= accuracy - 0.01
        assert entry["parity"] == {"share_within_1_level": within, "accuracy": own, "n": len(labels)}
        assert entry["bytes"] == (shared_bundle / entry["file"]).stat().st_size
        assert entry["milliseconds"] > 0
    assert manifest["variants"]["int8"]["representative_set"] == {"split": "train", "count": 200, "seed": 0}
    assert manifest["variants"]["int8"]["psnr_to_float32"] > 25
    assert manifest["variants"]["qat"]["fine_tuning"]["steps"] == 300
    assert set(tflite.operators((shared_bundle / "transform_qat.tflite").read_bytes())) == INTEGER_OPERATORS
    assert manifest["variants"]["qat"]["bytes"] < 0.6 * manifest["variants"]["float32"]["bytes"]


def test_the_manifest_lists_every_file(shared_bundle):
    files = contents(shared_bundle)
    listed = json.loads(files.pop("manifest.json"))["files"]
    card = files["MODEL_CARD.md"].decode()
    assert {name: entry["sha256"] for name, entry in listed.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert "| int8" in card and "digits" in card
    assert set(json.loads(files["test_vectors.json"])["outputs"]) == {"float32", "float16", "int8", "qat"}
    assert not list(shared_bundle.parent.glob(".*"))


def test_signatures_of_the_saved_models(shared_bundle, trained_run, digits):
    images = digits.test.images[:3]
    transform = tf.saved_model.load(str(shared_bundle / "transform")).signatures
    protected = transform["serving_default"](images=images)["protected"].numpy()
    expected = inference.protect(inference.load_network(trained_run.transform), images)
    assert np.abs(protected.astype(int) - expected).max() <= 1

    folder = shared_bundle / "classifier" / "1"
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {"serving_default", "image_bytes", "class_names"}
    by_pixels = signatures["serving_default"](images=images)
    files = [tf.io.encode_png(image).numpy() for image in images]
    by_bytes = signatures["image_bytes"](image_bytes=tf.constant(files))
    np.testing.assert_array_equal(by_pixels["probabilities"], by_bytes["probabilities"])
    np.testing.assert_allclose(by_pixels["probabilities"].numpy().sum(axis=1), 1, rtol=1e-5)
    best = by_pixels["probabilities"].numpy().argmax(axis=1)
    assert [name.decode() for name in by_pixels["classes"].numpy()] == [digits.class_names[i] for i in best]
    assert (folder / "assets" / "labels.txt").read_text().split() == list(digits.class_names)
    grey = tf.io.encode_jpeg(tf.zeros((16, 16, 1), tf.uint8))
    assert signatures["image_bytes"](image_bytes=tf.stack([grey]))["probabilities"].shape == (1, 10)
    for file, stated in [
        (tf.io.encode_png(tf.zeros((8, 16, 3), tf.uint8)), "8 16"),
        (tf.io.encode_jpeg(tf.zeros((16, 8, 3), tf.uint8)), "16 8"),
        (b"GIF89a" + bytes(40), "0 0"),
        (b"", "0 0"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"files of 16x16 pixels.*\[{stated}\]"):
            signatures["image_bytes"](image_bytes=tf.stack([file]))
    named = signatures["class_names"](labels=tf.constant([3, 1], tf.int64))
    assert [name.decode() for name in named["class_names"].numpy()] == [digits.class_names[i] for i in (3, 1)]
    manifest = json.loads((shared_bundle / "manifest.json").read_text())
    assert [run_id.decode() for run_id in named["run_id"].numpy()] == [manifest["run_id"]] * 2


def test_warm_up_requests(shared_bundle):
    file = shared_bundle / "classifier" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    requests = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    seen = []
    for record in requests:
        request = only(fields(only(fields(record), 6)), 1)
        (_, model_spec), (_, inputs) = fields(request)
        (_, name), (_, content) = fields(inputs)
        tensor = tf.make_ndarray(tensor_pb2.TensorProto.FromString(content))
        seen.append((only(fields(model_spec), 3).decode(), name.decode(), tensor.shape))
    assert seen == [
        ("serving_default", "images", (1, 16, 16, 3)),
        ("image_bytes", "image_bytes", (1,)),
        ("serving_default", "images", (8, 16, 16, 3)),
        ("image_bytes", "image_bytes", (8,)),
    ]


def test_a_new_version_leaves_the_old_ones(copy, trained_run, digits):
    former = contents(copy / "classifier" / "1")
    (copy / "classifier" / ("9" * 20)).mkdir()  # no number that a server takes
    folder = (copy / "classifier").stat().st_ino
    manifest = export(trained_run, digits, copy, with_saved_models=True)
    assert manifest["saved_models"]["classifier"]["version"] == 2
    assert contents(copy / "classifier" / "1") == former
    assert set(contents(copy / "classifier" / "2")) == set(former)
    assert (copy / "classifier").stat().st_ino == folder  # a server that watches it goes on watching it
    assert set(manifest["variants"]) == {"float32", "float16", "int8", "qat"}
    i2p_tf.load_transform(copy, "int8")


def test_another_run_leaves_no_file_of_the_former(copy, trained_run, digits, tmp_path):
    other = type(trained_run)(shutil.copytree(trained_run.path, tmp_path / "other"))
    transform = inference.load_network(other.transform)
    head = transform.get_layer("head")
    head.set_weights([weight * 1.01 for weight in head.get_weights()])
    transform.save(other.transform)
    (copy / "transform_notes.txt").write_text("mine")
    manifest = export(other, digits, copy, variants=["float32"])
    assert set(manifest["variants"]) == {"float32"} and manifest["saved_models"] == {}
    assert sorted(entry.name for entry in copy.iterdir()) == [
        "MODEL_CARD.md",
        "classifier",
        "manifest.json",
        "test_vectors.json",
        "transform_float32.tflite",
        "transform_notes.txt",
    ]
    assert i2p_tf.load_transform(copy).run_id == manifest["run_id"]


def test_only_what_was_checked_is_certified(copy, trained_run, digits):
    with open(copy / "transform_int8.tflite", "ab") as file:
        file.write(b"changed")
    export(trained_run, digits, copy, variants=["float32"])
    i2p_tf.load_transform(copy, "float32")
    with pytest.raises(InputError, match="changed after its export"):
        i2p_tf.load_transform(copy, "int8")
    assert set(json.loads((copy / "test_vectors.json").read_text())["outputs"]) == {"float32", "float16", "qat"}


def test_the_export_of_a_later_version_is_not_overwritten(copy, trained_run, digits):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"schema": 2}))
    former = contents(copy)
    with pytest.raises(InputError, match="has format 2; this version of i2p_tf reads format 1"):
        export(trained_run, digits, copy, variants=["float32"])
    assert contents(copy) == former


def test_failed_parity_keeps_the_former_bundle(copy, trained_run, digits, monkeypatch):
    former = contents(copy)
    real = tflite.fold

    def damaged(transform):
        folded = real(transform)
        head = folded.get_layer("head")
        kernel, bias = head.get_weights()
        head.set_weights([kernel, bias + 0.5])
        return folded

    monkeypatch.setattr(tflite, "fold", damaged)
    with pytest.raises(ParityError, match="transform_float32.tflite: .* of the values are within 1 level"):
        export(trained_run, digits, copy, variants=["float32"])
    assert contents(copy) == former
    with pytest.raises(ParityError):
        export(trained_run, digits, copy.parent / "new", variants=["float32"])
    assert [entry.name for entry in copy.parent.iterdir()] == ["bundle"]


def test_a_loss_of_accuracy_is_refused_unless_allowed(copy, trained_run, digits, monkeypatch):
    real = tflite.fold

    def blind(transform):
        folded = real(transform)
        head = folded.get_layer("head")
        head.set_weights([weight * 0 for weight in head.get_weights()])
        return folded

    monkeypatch.setattr(tflite, "fold", blind)
    with pytest.raises(ParityError, match="--allow_loss"):
        export(trained_run, digits, copy, variants=["int8"])
    manifest = export(trained_run, digits, copy, variants=["int8"], allow_loss=True)
    assert manifest["variants"]["int8"]["parity"]["accuracy"] < 0.3


def test_a_codebook_that_sends_more_than_its_pictures_is_never_published(copy, trained_run, digits):
    """The U-Net of the run stands for a codebook whose file leaks."""
    config = dataclasses.replace(trained_run.load_config(), transform="codebook", objective="codebook")
    former = contents(copy)
    with pytest.raises(ParityError, match="transform_float32.tflite: sends 3.. different pictures of 10"):
        bundle.export(trained_run, digits, config, copy, ["float32"], False, True, Progress())
    assert contents(copy) == former


def test_a_codebook_says_how_many_pictures_it_sends(trained_run, digits, tmp_path):
    """In manifest and file: whoever shows its probabilities must know that they are constant."""
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))
    models.transform("codebook_tiny", 16, 10).save(run_dir.transform)
    config = dataclasses.replace(run_dir.load_config(), transform="codebook_tiny", objective="codebook")
    path = tmp_path / "bundle"
    manifest = bundle.export(run_dir, digits, config, path, ["float32"], False, False, Progress())
    assert i2p_tf.load_transform(path).codewords == manifest["codewords"] == 10


def test_a_second_export_into_one_folder_is_refused(copy, trained_run, digits):
    former = contents(copy)
    with lock_folder(copy, "wait"), pytest.raises(InputError, match="another command is writing to"):
        export(trained_run, digits, copy, variants=["float32"])
    assert contents(copy) == former


def fields(message):
    """The length-delimited fields of a protocol buffer, in their order."""
    position, found = 0, []

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(message):
        tag = varint()
        assert tag & 7 == 2
        length = varint()
        found.append((tag >> 3, message[position : position + length]))
        position += length
    return found


def only(found, number):
    ((actual, content),) = found
    assert actual == number
    return content
