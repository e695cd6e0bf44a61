"""Many images are computed as one graph, few operation by operation: the results are the same."""

import types

import numpy as np
import pytest

from i2p_tf import transport

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

    monkeypatch.setattr(transport, "TRANSPORTS", {"png": transport.png, "dark": lambda image: image // 2})
    asked = []

    def classifier(batch, training):
        asked.append(batch)
        return np.eye(2)[np.int64(batch.mean(axis=(1, 2, 3)) > 0.4)]

    accuracy = evaluation._after_transport(classifier, images, np.ones(9, int), 0.75)
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
