"""Many images are computed as one graph, few operation by operation: the results are the same."""

import subprocess
import sys
import threading

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


def test_a_graph_gives_what_operations_give(images, monkeypatch):
    import keras

    from i2p_tf import inference, models

    keras.utils.set_random_seed(0)
    transform, classifier = models.transform("tiny", 16, 10), models.classifier("resnet20", 16, 10)
    expected = inference.protect(transform, images), inference.logits(classifier, images)
    monkeypatch.setattr(inference, "MOST_PIXELS", 6 * 16 * 16)  # two images in each part, so the last one has one
    monkeypatch.setattr(inference, "GRAPH_BATCHES", 2)
    compiled = []

    def graph(network, shape, compile_graph=inference._graph):
        compiled.append(network)
        return compile_graph(network, shape)

    monkeypatch.setattr(inference, "_graph", graph)
    protected, logits = inference.protect(transform, images), inference.logits(classifier, images)
    assert compiled == [transform, classifier]
    assert np.abs(protected.astype(int) - expected[0]).max() <= 1
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)


def test_parts_of_a_batch_are_computed_at_once(monkeypatch):
    from i2p_tf import inference, models

    monkeypatch.setattr(inference, "MOST_PIXELS", 3 * 16 * 16)
    monkeypatch.setattr(inference.tf.config, "list_physical_devices", lambda kind: [])  # a GPU computes one
    all_there = threading.Barrier(inference.PARTS, timeout=30)

    def convert(outputs):
        all_there.wait()
        return np.asarray(outputs)

    images = np.zeros((4 * 3, 16, 16, 3), np.uint8)
    network = models.classifier("resnet20", 16, 10)
    assert len(np.concatenate(list(inference._infer(network, images, convert)))) == len(images)


def test_large_images_are_computed_in_smaller_batches():
    from i2p_tf import inference

    assert [inference.batch_size(size) for size in (16, 32, 64, 224, 10_000)] == [500, 500, 125, 10, 1]


def test_another_process_loads_the_networks(tmp_path):
    """Their layers are registered where they are defined, and a process that only loads has not built any."""
    from i2p_tf import models

    models.transform("tiny", 8, 3).save(tmp_path / "unet.keras")
    models.transform("codebook_tiny", 8, 3).save(tmp_path / "codebook.keras")
    models.classifier("resnet20", 8, 3).save(tmp_path / "classifier.keras")
    code = """if True:
        import pathlib, sys
        from i2p_tf import inference
        print(*(inference.load_network(path).output_shape for path in sorted(pathlib.Path(sys.argv[1]).iterdir())))
    """
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.stdout == "(None, 3) (None, 8, 8, 3) (None, 8, 8, 3)\n", process.stderr
