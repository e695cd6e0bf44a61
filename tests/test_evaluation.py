"""Many images are computed as one graph, few operation by operation: the results are the same."""

import types

import numpy as np
import pytest

from i2p_tf.channels import table
from i2p_tf.tables import Table

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


def test_a_graph_gives_what_operations_give(images, monkeypatch):
    import keras
    import tensorflow as tf

    from i2p_tf import evaluation, models

    keras.utils.set_random_seed(0)
    transform, classifier = models.transform("tiny", 16, 10), models.classifier("resnet20", 16, 10)
    expected = evaluation.protect(transform, images), evaluation.logits(classifier, images)
    monkeypatch.setattr(evaluation, "MOST_PIXELS", 4 * 16 * 16)  # four images, so the last batch is smaller
    monkeypatch.setattr(evaluation, "GRAPH_BATCHES", 3)
    compiled = []

    def function(network, **options):
        compiled.append(network)
        return tf.function(network, **options)

    monkeypatch.setattr(evaluation, "tf", types.SimpleNamespace(function=function))
    protected, logits = evaluation.protect(transform, images), evaluation.logits(classifier, images)
    assert len(compiled) == 2
    assert np.abs(protected.astype(int) - expected[0]).max() <= 1
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)


def test_what_arrives_unchanged_is_not_classified_again(images, monkeypatch):
    from i2p_tf import evaluation

    rows = [table.CHANNELS["png"], table.Channel("dark", "half as bright", file=lambda image: image // 2)]
    monkeypatch.setattr(table, "CHANNELS", Table("channel", rows))
    asked = []

    def classifier(batch, training):
        asked.append(batch)
        return np.eye(2)[np.int64(batch.mean(axis=(1, 2, 3)) > 0.4)]

    accuracy = evaluation._after_channels(classifier, images, np.ones(9, int), 0.75)
    assert accuracy == {"png": 0.75, "dark": 0.0}
    assert len(asked) == 1


def test_large_images_are_computed_in_smaller_batches():
    from i2p_tf import evaluation

    assert [evaluation.batch_size(size) for size in (16, 32, 64, 224, 10_000)] == [500, 500, 125, 10, 1]


def test_a_summary_by_hand():
    from i2p_tf import evaluation

    values = np.arange(101.0) ** 2
    assert evaluation.summary(values) == {"mean": 3350.0, "median": 2500.0, "p95": 9025.0, "max": 10_000.0}


def test_the_size_of_a_png_file_is_that_of_the_file(images, tmp_path):
    from PIL import Image

    from i2p_tf import evaluation

    for name, image in (("a", images[0]), ("b", images[0] // 64)):
        Image.fromarray(image).save(tmp_path / f"{name}.png", compress_level=1)
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert evaluation.png_bytes(np.stack([images[0], images[0] // 64])) == np.mean(sizes)
    assert sizes[0] != sizes[1]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The results of evaluating an untrained codebook of six classes, and the run's `RunDir`."""
    import dataclasses

    import keras
    from keras import layers

    from i2p_tf import evaluation, models, presets
    from i2p_tf.data.sources import Dataset, Split
    from i2p_tf.run_dir import RunDir, write_json

    keras.utils.set_random_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), np.uint8)
    split = Split(pixels, np.arange(30, dtype=np.int32) % 6)
    inputs = keras.Input((16, 16, 3))
    classifier = keras.Model(inputs, layers.Dense(6)(layers.Flatten()(inputs)))
    transform = models.transform("codebook_tiny", 16, 6)
    run_dir = RunDir(tmp_path_factory.mktemp("run"))
    config = dataclasses.replace(presets.two_cores("digits"), transform="codebook_tiny", image_size=16)
    write_json(run_dir.config, config.to_json())
    classifier.save(run_dir.classifier)
    transform.save(run_dir.transform)
    evaluation.evaluate_run(run_dir, Dataset("six", tuple("abcdef"), split, split, split), lambda line: None)
    return run_dir.read_results(), run_dir


def test_confidence_and_confusion_go_with_the_accuracy(measured):
    from i2p_tf import evaluation

    results, _ = measured
    accuracy = results["accuracy"]
    for kind in ("plain", "protected"):
        values, counts = results["confidence"][kind], np.array(results["confusion"][kind])
        assert counts.trace() / counts.sum() == accuracy[kind] and counts.sum(axis=1).tolist() == [5] * 6
        assert values["rejection"]["1.0"] == pytest.approx(accuracy[kind])
        assert set(values["rejection"]) == {"1.0", "0.9", "0.8", "0.5"} and accuracy[kind] <= values["accuracy_top5"]
    assert results["confidence"]["n"] == results["confusion"]["n"] == 30
    assert results["confusion"]["classes"] == list("abcdef")
    lines = evaluation.table(results).splitlines()
    assert len([line for line in lines if line.startswith(("expected calibration error", "top-5 accuracy"))]) == 4
    assert lines[-1].startswith("one of 6 fixed pictures is sent")


def test_the_pictures_of_a_codebook_are_written_in_the_order_of_the_classes(measured):
    import keras
    from PIL import Image

    from i2p_tf import evaluation

    results, run_dir = measured
    assert results["codewords"] == 6
    sheet = np.asarray(Image.open(run_dir.codewords))
    pictures = sheet[::6, ::6].reshape(16, 6, 16, 3).swapaxes(0, 1)  # enlarged six times
    transform = evaluation.load_network(run_dir.transform)
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), np.uint8)
    encoder = keras.Model(transform.inputs[0], transform.get_layer("logits").output)
    logits = evaluation.logits(encoder, images)
    np.testing.assert_array_equal(evaluation.protect(transform, images), pictures[logits.argmax(axis=1)])
