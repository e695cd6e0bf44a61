"""Pictures that lie elsewhere than when a run was made: told by --data_dir, recognised by their fingerprint."""

import json
import shutil

import pytest
from PIL import Image

from i2p_tf import presets
from i2p_tf.cli import evaluate, run_data, train
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.run_dir import RunDir


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of each of two classes, in the folder `pics`."""
    for index, name in enumerate(("cat", "dog")):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (200 * index, 60 * number, 0)).save(tmp_path / "pics" / name / f"{number}.png")
    return tmp_path / "pics"


@pytest.fixture
def arguments(monkeypatch, tmp_path):
    """Sets the flags of bin/train, as given in the folder of the test."""
    monkeypatch.chdir(tmp_path)

    def give(*given):
        forget(train.FLAGS)
        train.FLAGS(["train", "--preset=smoke", *given])
        return train.config_from_flags()

    yield give
    forget(train.FLAGS)


def forget(flags):
    for name in flags:
        flags[name].unparse()


def begin(run_dir, config):
    """What looks like a finished run."""
    run_dir.claim(config, data=sources.fingerprint(config.dataset))
    for network in (run_dir.classifier, run_dir.transform):
        network.write_text("trained")


def test_paths_are_recorded_for_every_working_directory(arguments, pictures, tmp_path):
    (tmp_path / "psi.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "vgg.h5").touch()
    config = arguments("--dataset=folder:pics", "--classifier_path=psi.keras", "--feature_weights=vgg.h5")
    assert config.dataset == f"folder:{pictures}" and config.data_dir is None
    assert config.classifier_path == str(tmp_path / "psi.keras") and config.feature_weights == str(tmp_path / "vgg.h5")
    assert arguments("--dataset=digits", "--data_dir=sets").data_dir == str(tmp_path / "sets")
    assert arguments("--dataset=digits", "--data_dir=gs://bucket/sets").data_dir == "gs://bucket/sets"
    assert arguments("--dataset=folder:gone", "--data_dir=pics").dataset == f"folder:{pictures}"


def test_the_former_name_of_the_channel_is_read(arguments):
    assert arguments("--dataset=digits", "--transport=jpeg").channel == "jpeg"


def test_a_run_is_named_after_its_data_set():
    config = presets.smoke("digits")
    names = {"cifar10": "cifar10", "tfds:imagenette/160px": "imagenette_160px", "folder:/data/pets/": "pets"}
    names |= {"folder:caf\udce9\n": "caf__"}
    for dataset, name in names.items():
        assert str(train.default_run_dir(dataset, config)) == f"runs/{name}_{config.classifier}"


def test_a_run_goes_on_where_its_pictures_have_moved(arguments, pictures, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    begin(run_dir, arguments("--dataset=folder:pics"))
    pictures.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="does not exist; .* --data_dir says where they are"):
        arguments("--dataset=folder:pics")
    for given in (("--dataset=folder:elsewhere",), ("--dataset=folder:pics", "--data_dir=elsewhere")):
        config = arguments(*given)
        run_dir.claim(config, data=sources.fingerprint(config.dataset))
        assert run_dir.classifier.read_text() == "trained"
        assert run_dir.load_config().dataset == f"folder:{tmp_path / 'elsewhere'}"


def test_other_pictures_are_another_experiment(arguments, pictures, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    begin(run_dir, arguments("--dataset=folder:pics"))
    shutil.copytree(pictures, tmp_path / "more")
    shutil.copy(pictures / "cat" / "0.png", tmp_path / "more" / "cat" / "9.png")
    config = arguments("--dataset=folder:more")
    data = sources.fingerprint(config.dataset)
    with pytest.raises(InputError, match="another experiment .files of class cat in train: 3 -> 4.*--overwrite"):
        run_dir.check(config, data=data)
    run_dir.claim(config, overwrite=True, data=data)
    assert not run_dir.classifier.exists() and run_dir.read_data() == data


def test_a_run_without_a_record_of_its_pictures_takes_those_that_have_moved(arguments, pictures, tmp_path):
    """Earlier versions recorded none, and relative paths."""
    run_dir = RunDir(tmp_path / "run")
    begin(run_dir, arguments("--dataset=folder:pics"))
    run_dir.data.unlink()
    run_dir.config.write_text(run_dir.config.read_text().replace(str(pictures), "pics"))
    same = arguments("--dataset=folder:pics")
    run_dir.check(same, data=sources.fingerprint(same.dataset))

    shutil.copytree(pictures, tmp_path / "copy")
    other = arguments("--dataset=folder:copy")
    with pytest.raises(InputError, match="dataset: folder:pics -> folder:.*copy"):
        run_dir.check(other, data=sources.fingerprint(other.dataset))
    shutil.rmtree(pictures)
    run_dir.claim(other, data=sources.fingerprint(other.dataset))
    assert run_dir.classifier.exists() and run_dir.read_data() == sources.fingerprint(other.dataset)


def test_a_reading_command_is_told_where_the_pictures_are(arguments, pictures, tmp_path, capsys):
    run_dir = RunDir(tmp_path / "run")
    config = arguments("--dataset=folder:pics")
    begin(run_dir, config)
    pictures.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="does not exist; if the pictures have moved, --data_dir says where they are"):
        run_data.located(run_dir, config, None)
    assert run_data.located(run_dir, config, "elsewhere").dataset == f"folder:{tmp_path / 'elsewhere'}"
    assert capsys.readouterr().err == ""

    (tmp_path / "elsewhere" / "cat" / "0.png").unlink()
    run_data.located(run_dir, config, "elsewhere")
    warning = capsys.readouterr().err
    assert warning.startswith("warning: folder:elsewhere is not what ") and warning.count("\n") == 1
    assert "files of class cat in train: 3 -> 2" in warning

    (tmp_path / "elsewhere" / "cat").rename(tmp_path / "elsewhere" / "cow")
    with pytest.raises(InputError, match="other classes than those that .*run has learned: only then: 'cat'"):
        run_data.located(run_dir, config, "elsewhere")


def test_what_is_told_of_prepared_sets_replaces_what_is_recorded(arguments, tmp_path):
    config = arguments("--dataset=cifar10", "--data_dir=sets")
    assert run_data.located(RunDir(tmp_path), config, None) == config
    assert run_data.located(RunDir(tmp_path), config, "moved").data_dir == str(tmp_path / "moved")


@pytest.mark.slow
def test_evaluate_finds_pictures_that_have_moved(trained_run, digits, tmp_path, request, capsys):
    run_dir = RunDir(shutil.copytree(trained_run.path, tmp_path / "run"))
    for index, (image, label) in enumerate(zip(digits.test.images[:200], digits.test.labels[:200], strict=True)):
        folder = tmp_path / "moved" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    config = json.loads(run_dir.config.read_text()) | {"dataset": "folder:/nowhere/pics"}
    run_dir.config.write_text(json.dumps(config))
    request.addfinalizer(lambda: forget(evaluate.FLAGS))
    evaluate.FLAGS(["evaluate", f"--run_dir={run_dir.path}", f"--data_dir={tmp_path / 'moved'}"])
    evaluate.main([])
    printed = capsys.readouterr()
    assert "accuracy on plain images" in printed.out and "10 classes: 0 (" in printed.err

    shutil.rmtree(tmp_path / "moved" / "9")
    with pytest.raises(InputError, match="knows 10 classes, and the data have 9"):
        evaluate.main([])
