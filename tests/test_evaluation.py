import numpy as np
import pytest

from i2p_tf.channels import table
from i2p_tf.channels.arrivals import arrivals
from i2p_tf.tables import Table

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


def test_what_arrives_unchanged_is_not_classified_again(images, monkeypatch):
    from i2p_tf import evaluation

    factors = {"dark": 2, "darker": 4, "black": 255}
    rows = [table.Channel(name, name, file=lambda image, by=by: image // by) for name, by in factors.items()]
    rows.insert(0, table.CHANNELS["png"])
    monkeypatch.setattr(table, "CHANNELS", Table("channel", rows))
    asked = []

    def classifier(batch, training):
        asked.append(batch)
        return np.eye(2)[np.int64(batch.mean(axis=(1, 2, 3)) > 0.2)]

    with arrivals(images) as arriving:
        accuracy = evaluation._after_channels(classifier, arriving, images, np.ones(9, int), 0.75)
    assert list(accuracy.items()) == [("png", 0.75), ("dark", 1.0), ("darker", 0.0), ("black", 0.0)]
    assert len(asked) == 3


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
    from i2p_tf.data.dataset import Dataset, Split
    from i2p_tf.files import write_json
    from i2p_tf.moving_line import silent
    from i2p_tf.run_dir import RunDir

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
    evaluation.evaluate_run(run_dir, Dataset("six", tuple("abcdef"), split, split, split), silent())
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


def test_a_training_that_taught_nothing_says_so_last(measured):
    from i2p_tf import evaluation

    results, run_dir = measured
    assert results["at_chance"] == {"plain": True, "protected": True, "chance": 1 / 6}
    lines = evaluation.closing(run_dir, results).splitlines()
    assert lines[-1].startswith("warning: the training ended at chance")
    told = results | {"at_chance": {"plain": False, "protected": False, "chance": 1 / 6}}
    assert evaluation.closing(run_dir, told).splitlines() == lines[:-1]


def test_what_is_written_has_the_form_of_the_file(measured):
    from i2p_tf.results_check import check

    check(measured[0])


def test_the_pictures_of_a_codebook_are_written_in_the_order_of_the_classes(measured):
    import keras
    from PIL import Image

    from i2p_tf import inference

    results, run_dir = measured
    assert results["codewords"] == 6
    sheet = np.asarray(Image.open(run_dir.codewords))
    pictures = sheet[::6, ::6].reshape(16, 6, 16, 3).swapaxes(0, 1)  # enlarged six times
    transform = inference.load_network(run_dir.transform)
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), np.uint8)
    encoder = keras.Model(transform.inputs[0], transform.get_layer("logits").output)
    logits = inference.logits(encoder, images)
    np.testing.assert_array_equal(inference.protect(transform, images), pictures[logits.argmax(axis=1)])
