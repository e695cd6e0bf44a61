"""The bundle of a code: cut by the client, read by the server's model."""

import dataclasses
import json
import pickle
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import i2p_tf
from i2p_tf import drawing, evaluation, inference, presets
from i2p_tf.attacks.run import _differentiable
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.export import bundle
from i2p_tf.files import write_json
from i2p_tf.models.reader import reader
from i2p_tf.models.transforms.code import code
from i2p_tf.moving_line import MovingLine
from i2p_tf.run_dir import RunDir
from i2p_tf.training.progress import Progress

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits():
    return sources.load("digits")


@pytest.fixture(scope="module")
def code_run(tmp_path_factory, digits):
    """A run whose networks have learned nothing but the statistics of their normalisations."""
    run_dir = RunDir(tmp_path_factory.mktemp("code"))
    keras.utils.set_random_seed(3)
    images = keras.Input((32, 32, 3), name="images")
    logits = layers.Dense(10, name="logits")(layers.Flatten()(layers.Conv2D(8, 3, strides=2)(images)))
    keras.Model(images, logits, name="small").save(run_dir.classifier)
    transform = code("code_small", 32)
    for _ in range(20):
        transform(np.float32(digits.train.images[:64]) / 255, training=True)
    transform.save(run_dir.transform)
    reader(32, 10).save(run_dir.reader)
    config = dataclasses.replace(presets.code("digits"), transform="code_small")
    write_json(run_dir.config, config.to_json())
    return run_dir


@pytest.fixture(scope="module")
def code_bundle(code_run, digits):
    path = code_run.path / "bundle"
    config = code_run.load_config()
    bundle.export(code_run, digits, config, path, ("float32", "int8"), True, True, Progress())
    return path


def test_what_attackers_differentiate_is_what_is_sent(code_run, digits):
    config, images = code_run.load_config(), digits.test.images[:8]
    transform = _differentiable(code_run, config, 32)
    sent = inference.load_protection(code_run, config, 32)(images)
    np.testing.assert_array_equal(inference.to_uint8(transform(np.float32(images) / 255)), sent)


def expected(code_run, images, bits):
    return drawing.cut(inference.protect(inference.load_network(code_run.transform), images), bits)


@pytest.mark.parametrize("bits", [None, 8, 64, 512])
def test_a_client_sends_as_many_bits_as_it_is_told(code_bundle, code_run, digits, bits):
    images = digits.test.images[:50]
    transform = i2p_tf.load_transform(code_bundle, bits=bits)
    assert transform.bits == (bits or 64)
    protected = transform(images)
    same = np.all(protected == expected(code_run, images, bits or 64), axis=(1, 2, 3))
    assert same.mean() >= 0.98  # rounding may decide for another level
    sent = np.sum(drawing.read(protected) >= 0, axis=1)
    assert set(sent) == {(bits or 64) // drawing.BITS_AN_ELEMENT}
    assert transform.identity["bits"] == transform.bits


def test_every_variant_sends_drawings(code_bundle, digits):
    protected = i2p_tf.load_transform(code_bundle, "int8", bits=512)(digits.test.images[:100])
    assert (drawing.read(protected) >= 0).all()


def test_bits_survive_a_pickle(code_bundle, digits):
    transform = i2p_tf.load_transform(code_bundle, bits=16)
    copy = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(copy(digits.test.images[:3]), transform(digits.test.images[:3]))


def test_bits_that_can_not_be_sent_are_one_line(code_bundle, small_export):
    with pytest.raises(InputError, match="bits must be one of 8, 16, 32, 64, 128, 256, 512. Received: 63"):
        i2p_tf.load_transform(code_bundle, bits=63)
    with pytest.raises(InputError, match="sends no code"):
        i2p_tf.load_transform(small_export, bits=64)


def test_what_is_no_drawing_is_not_sent(small_export, digits):
    transform = i2p_tf.load_transform(small_export)
    transform.bits = 64  # as if a U-Net said that it draws codes
    with pytest.raises(InputError, match="is no drawing of a code, so it is not sent"):
        transform(digits.test.images[:2, ::2, ::2])


def test_a_file_that_no_client_takes_is_not_published(code_run, digits, monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "MAX_BYTES", 1_000)
    with pytest.raises(InputError, match="transform_float32.tflite would have .* at most 1,000; --variants=int8"):
        bundle.export(
            code_run, digits, code_run.load_config(), tmp_path / "bundle", ("float32",), True, True, Progress()
        )
    assert not (tmp_path / "bundle").exists()


def test_one_signature_reads_plain_and_drawn_pictures(code_bundle, code_run, digits):
    images = digits.test.images[:20]
    drawn = expected(code_run, images, 64)
    served = tf.saved_model.load(str(code_bundle / "classifier/1")).signatures["serving_default"]
    plain = inference.load_network(code_run.classifier)
    of_reader = inference.load_network(code_run.reader)
    for pictures, network in ((images, plain), (drawn, of_reader)):
        probabilities = served(images=tf.constant(pictures))["probabilities"].numpy()
        wanted = tf.nn.softmax(inference.logits(network, pictures)).numpy()
        np.testing.assert_allclose(probabilities, wanted, atol=1e-5)


def test_manifest_and_card_say_the_bits(code_bundle):
    manifest = json.loads((code_bundle / "manifest.json").read_text())
    assert manifest["bits"] == 64 and manifest["codewords"] is None
    card = " ".join((code_bundle / "MODEL_CARD.md").read_text().split())
    assert "one of 2^64 drawings" in card and "from 8 to 512 as the client chooses" in card


def test_the_evaluation_measures_every_number_of_bits(code_run, digits):
    results = evaluation.evaluate_run(code_run, digits, MovingLine())
    assert set(results["accuracy_by_bits"]) == {*map(str, drawing.BITS), "n"}
    assert results["accuracy_by_bits"]["64"] == results["accuracy"]["protected"]
    assert results["bits"] == 64
    assert results["channels"]["jpeg_75"] == results["channels"]["resize_2x"] == results["accuracy"]["protected"]
    assert results["cost"]["reader_macs"] > results["cost"]["transform_macs"] > 1e6
    lines = evaluation.table(results)
    assert "of 64 bits" in lines and "reader, million MACs" in lines


def test_a_run_without_its_reader_is_unfinished(code_run, tmp_path):
    run_dir = RunDir(shutil.copytree(code_run.path, tmp_path / "run"))
    assert "reader" in run_dir.network_digests()
    run_dir.reader.unlink()
    with pytest.raises(InputError, match="reader.keras does not exist"):
        run_dir.finished_config()
