"""Many images are computed as one graph, few operation by operation: the results are the same."""

import types

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


def test_a_graph_gives_what_operations_give(images, monkeypatch):
    import keras
    import tensorflow as tf

    from i2p_tf import inference, models

    keras.utils.set_random_seed(0)
    transform, classifier = models.transform("tiny", 16, 10), models.classifier("resnet20", 16, 10)
    expected = inference.protect(transform, images), inference.logits(classifier, images)
    monkeypatch.setattr(inference, "MOST_PIXELS", 4 * 16 * 16)  # four images, so the last batch is smaller
    monkeypatch.setattr(inference, "GRAPH_BATCHES", 3)
    compiled = []

    def function(network, **options):
        compiled.append(network)
        return tf.function(network, **options)

    monkeypatch.setattr(inference, "tf", types.SimpleNamespace(function=function))
    protected, logits = inference.protect(transform, images), inference.logits(classifier, images)
    assert len(compiled) == 2
    assert np.abs(protected.astype(int) - expected[0]).max() <= 1
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)


def test_large_images_are_computed_in_smaller_batches():
    from i2p_tf import inference

    assert [inference.batch_size(size) for size in (16, 32, 64, 224, 10_000)] == [500, 500, 125, 10, 1]
