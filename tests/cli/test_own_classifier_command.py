"""bin/train with a classifier from elsewhere, in this process: what it makes of it, and what it refuses."""

import json
import re
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from i2p_tf import classifier_file, inference
from i2p_tf.cli import train
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.export import bundle
from i2p_tf.models.classifiers import own
from i2p_tf.objectives import paper
from i2p_tf.run_dir import RunDir
from i2p_tf.training.progress import Progress
from i2p_tf.training.train import read_given

pytestmark = pytest.mark.slow

ARGUMENTS = ("--dataset=digits", "--image_size=16", "--preset=smoke", "--feature_weights=classifier")
CODEBOOK = ("--dataset=digits", "--image_size=16", "--preset=two_cores", "--epochs=1")
FEW = ("--training_images=64", "--batch_size=64")
ORDER = "7,0,1,2,3,4,5,6,9,8"  # an order of the classes that isn't that of the data


@pytest.fixture(scope="module")
def model():
    """A classifier of digits as its user has it: 0..255 to probabilities, with the rescaling outside."""
    keras.utils.set_random_seed(0)
    digits = sources.load("digits", image_size=16)
    convolutions = (layers.Conv2D(f, 3, strides=2, padding="same", activation="relu") for f in (16, 32))
    body = (*convolutions, layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.1))
    network = keras.Sequential([keras.Input((16, 16, 3)), *body, layers.Dense(10, activation="softmax")])
    network.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = np.float32(digits.train.images) / 127.5 - 1.0
    network.fit(images, digits.train.labels, batch_size=64, epochs=4, verbose=0)
    return network


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs bin/train on `run` in the folder of the test; returns its `RunDir`."""
    monkeypatch.chdir(tmp_path)

    def give(*given, arguments=ARGUMENTS):
        for name in train.FLAGS:
            train.FLAGS[name].unparse()
        train.FLAGS(["train", *arguments, *FEW, "--run_dir=run", *given])
        train.main([])
        return RunDir(tmp_path / "run")

    yield give
    for name in train.FLAGS:
        train.FLAGS[name].unparse()


def refused(run, tmp_path, *given):
    """The one line; nothing stays."""
    with pytest.raises(InputError) as refusal:
        run(*given)
    assert not (tmp_path / "run").exists()
    line = str(refusal.value)
    assert "\n" not in line
    return line


def check_accuracy_and_macs(run_dir, model, test):
    """Plain accuracy is what Keras says of the model, to the picture."""
    _, expected = model.evaluate(np.float32(test.images) / 127.5 - 1.0, test.labels, verbose=0)
    results, n = run_dir.read_results(), len(test.labels)
    assert round(results["accuracy"]["plain"] * n) == round(expected * n)
    assert results["cost"]["classifier_macs"] == 64 * 9 * 3 * 16 + 16 * 9 * 16 * 32 + 512 * 10


def test_plain_accuracy_is_that_of_keras_and_it_can_be_exported(model, run, digits, tmp_path):
    model.save(tmp_path / "mine.keras")
    run_dir = run("--classifier=mine.keras", "--classifier_range=-1..1")
    check_accuracy_and_macs(run_dir, model, digits.test)
    recorded = run_dir.read_environment()["classifier"]
    assert (recorded["file"], recorded["range"], recorded["output"]) == ("mine.keras", "-1..1", "probabilities")
    config = run_dir.load_config()
    assert (config.classifier, config.classifier_path) == ("own", str(tmp_path / "mine.keras"))
    manifest = bundle.export(run_dir, digits, config, tmp_path / "bundle", (), True, False, Progress())
    assert manifest["networks"]["classifier"] == "mine"
    run("--classifier_path=mine.keras", "--classifier_range=-1..1")
    (tmp_path / "mine.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="mine.keras has changed since .* took it; give another --run_dir"):
        run("--classifier_path=mine.keras", "--classifier_range=-1..1")


def test_a_saved_model_goes_all_the_way_and_the_run_holds_it(model, run, digits, tmp_path, shallow_resnet20):
    model.export(tmp_path / "mine", verbose=False)
    assert "--classifier_range=0..1|0..255|-1..1|imagenet" in refused(run, tmp_path, "--classifier=mine")
    run_dir = run("--classifier=mine/", "--classifier_range=-1..1", arguments=CODEBOOK)  # which needs no features
    check_accuracy_and_macs(run_dir, model, digits.test)
    recorded = run_dir.read_environment()["classifier"]
    assert recorded["sha256"] == classifier_file.sha256(tmp_path / "mine")
    assert (recorded["file"], recorded["range"], recorded["output"]) == ("mine", "-1..1", "probabilities")
    (tmp_path / "mine").rename(tmp_path / "gone")
    config = run_dir.load_config()
    manifest = bundle.export(run_dir, digits, config, tmp_path / "bundle", (), True, False, Progress())
    assert manifest["networks"]["classifier"] == "mine"


def test_a_saved_model_shows_no_features(model, run, tmp_path):
    model.export(tmp_path / "mine", verbose=False)
    line = refused(run, tmp_path, "--classifier=mine", "--classifier_range=-1..1")
    assert "mine shows no feature maps" in line and "--feature_weights=FILE" in line


def test_features_that_can_be_had_nowhere_are_missed_before_anything_is_written(model, run, tmp_path, monkeypatch):
    def no_network(*_):
        raise OSError("no network")

    model.export(tmp_path / "mine", verbose=False)
    monkeypatch.setattr(paper, "vgg16_features", no_network)
    given = ("--classifier=mine", "--classifier_range=-1..1", "--feature_weights=imagenet")
    assert "mine shows no feature maps" in refused(run, tmp_path, *given)


def test_the_order_of_the_classes_can_be_told(model, digits, run, tmp_path):
    order = [int(name) for name in ORDER.split(",")]
    dense = model.layers[-1]
    kernel, bias = dense.get_weights()
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.layers[-1].set_weights([kernel[:, order], bias[order]])
    other.save(tmp_path / "other.h5")
    given = ("--classifier=other.h5", "--classifier_range=-1..1")
    line = refused(run, tmp_path, *given)
    assert "chance is 0.10" in line and "--classifier_range" in line and "--class_names" in line
    train.FLAGS(["train", *ARGUMENTS, *given, f"--class_names={ORDER}"])
    found = read_given(train.config_from_flags())
    dataset = found.dataset
    assert dataset.class_names == tuple(ORDER.split(","))
    np.testing.assert_array_equal(np.array(order)[dataset.test.labels], digits.test.labels)
    assert np.mean(inference.classify(found.classifier, dataset.test.images) == dataset.test.labels) > 0.8


def test_classes_that_the_data_do_not_have_are_named(run, tmp_path):
    small().save(tmp_path / "its.keras")
    line = refused(run, tmp_path, "--classifier=its.keras", "--class_names=0,1,2,3,4,5,6,7,8,nine")
    assert "missing: '9'; unknown: 'nine'" in line


def test_a_range_that_is_not_recognised_is_asked_for(model, run, tmp_path):
    model.save(tmp_path / "mine.keras")
    line = refused(run, tmp_path, "--classifier=mine.keras")
    assert "--classifier_range=0..1|0..255|-1..1|imagenet" in line
    accuracies = dict(re.findall(r"(\S+) (0\.\d\d|1\.00)[,)]", line))
    assert max(accuracies, key=accuracies.get) == "-1..1"


def write_graph(folder, content):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)


def small(size=16, classes=10, channels=3):
    return keras.Sequential([keras.Input((size, size, channels)), layers.Flatten(), layers.Dense(classes)])


@keras.saving.register_keras_serializable("tests")
class Unknown(layers.Layer):
    def call(self, x):
        return x


def with_unknown():
    return keras.Sequential([keras.Input((16, 16, 3)), Unknown(), layers.Flatten(), layers.Dense(10)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: small(size=24), "24x24, and these have 16x16; give --image_size=24"),
        (lambda: small(classes=3), "knows 3 classes, and the data have 10"),
        (lambda: small(channels=1), "RGB pictures are needed"),
        (with_unknown, "needs 'Unknown', which Keras does not know; --custom_objects=MODULE"),
    ],
)
def test_what_does_not_fit_leaves_nothing(make, words, run, tmp_path, monkeypatch):
    make().save(tmp_path / "its.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "tests>Unknown")
    line = refused(run, tmp_path, "--classifier=its.keras", "--classifier_range=0..1")
    assert line.startswith("--classifier=") and "its.keras" in line and words in line


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder without saved_model.pb"),
        (lambda path: write_graph(path / "1", b""), "its.h5/1 is one"),
        (lambda path: write_graph(path, b"text"), "damaged"),
        (lambda path: path.write_text("text"), "no file of a Keras network"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "no file of a Keras network"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "no Keras classifier"),
    ],
)
def test_what_is_no_file_of_keras_leaves_nothing(make, words, run, tmp_path):
    make(tmp_path / "its.h5")
    assert words in refused(run, tmp_path, "--classifier=its.h5")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--classifier=applications:MobileNetV4"], "Did you mean MobileNetV"),
        (["--classifier=resnet20", "--classifier_range=0..1"], "for an own classifier only"),
        (["--classifier=resnet20", "--classifier_weights=random"], "classifier applications:NAME only"),
        (["--classifier=applications:Xception"], "at least 71"),
        (["--classifier=resnet20", "--class_names=1,1"], "twice"),
        (["--classifier=one.keras", "--classifier_path=two.keras"], "are two files"),
        (["--classifier=applications:MobileNetV2", "--classifier_weights=none.h5"], "no such file: none.h5"),
    ],
)
def test_flags_that_do_not_fit(given, words, run, tmp_path):
    assert words in refused(run, tmp_path, *given)


def test_without_network_it_says_what_to_do_before_data_are_read(run, tmp_path, monkeypatch):
    def no_network(**arguments):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "MobileNetV2", no_network)
    monkeypatch.setattr(sources, "load_for", None)
    line = refused(run, tmp_path, "--classifier=applications:MobileNetV2", "--image_size=32")
    assert "URL fetch failure" in line and "--classifier_weights=FILE" in line and "=random" in line


def test_layers_of_the_users_own_are_found_again(run, tmp_path, digits):
    (tmp_path / "halved.py").write_text(
        "import keras\n@keras.saving.register_keras_serializable('halved')\nclass Halved(keras.layers.Layer):\n"
        "    def call(self, x):\n        return x[:, ::2, ::2]\n"
    )
    own.import_custom_objects(str(tmp_path / "halved.py"))
    halved = keras.saving.get_registered_object("halved>Halved")
    network = keras.Sequential([keras.Input((16, 16, 3)), halved(), layers.Flatten(), layers.Dense(10)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(np.float32(digits.train.images) / 255.0, digits.train.labels, verbose=0, epochs=2)
    network.save(tmp_path / "mine.keras")
    run_dir = run("--classifier=mine.keras", "--classifier_range=0..1", "--custom_objects=halved")
    assert run_dir.load_config().custom_objects == str(tmp_path / "halved.py")
    del keras.saving.get_custom_objects()["halved>Halved"]
    del sys.modules["halved"]
    assert inference.load_classifier(run_dir.classifier, 10).count_params() == 64 * 3 * 10 + 10
    assert json.loads(run_dir.results.read_text())["cost"]["classifier_macs"] == 1920
