"""The networks that come with the project, as the README offers them before anything else."""

import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import i2p_tf

EXPORT = pathlib.Path(__file__).parents[2] / "exports" / "cifar10_resnet20"
MANIFEST = json.loads((EXPORT / "manifest.json").read_text())


@pytest.fixture(scope="module")
def images():
    """Coarse random colours, of which the encoder makes many classes."""
    coarse = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def test_its_files_are_those_of_the_manifest_and_small():
    for name, entry in MANIFEST["files"].items():
        content = (EXPORT / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"]), name
    assert sum(file.stat().st_size for file in EXPORT.rglob("*") if file.is_file()) <= 8e6


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_it_sends_one_picture_for_each_class_which_the_classifier_reads_as_that_class(images, variant):
    transform = i2p_tf.load_transform(EXPORT, variant)
    assert transform.run_id == MANIFEST["run_id"] and transform.class_names == tuple(MANIFEST["class_names"])
    assert transform.codewords == MANIFEST["codewords"] == 10
    sent = np.unique(transform(images), axis=0)
    assert 5 <= len(sent) <= 10
    classify = tf.saved_model.load(str(EXPORT / "classifier" / "1")).signatures["serving_default"]
    probabilities = classify(images=tf.constant(sent))["probabilities"].numpy()
    assert len(set(probabilities.argmax(axis=1))) == len(sent)
    assert probabilities.max(axis=1).min() > 0.9
