"""A whole trade-off of small networks: every part is trained, put together, and found again."""

import dataclasses
import io

import pytest

from i2p_tf import drawing, forms, models, presets
from i2p_tf.attacks import fitting
from i2p_tf.data import sources
from i2p_tf.files import write_json
from i2p_tf.models import reader
from i2p_tf.models.classifiers import resnet
from i2p_tf.models.transforms import code
from i2p_tf.run_dir import RunDir
from i2p_tf.tradeoff import decoders, device_networks, device_only, sanity_checks
from i2p_tf.tradeoff.bench import Bench, bench
from i2p_tf.tradeoff.curve import curve
from i2p_tf.tradeoff.form import Tradeoff
from i2p_tf.training.progress import Progress

pytestmark = pytest.mark.slow

RATES = [64, 512]
ACCURACIES = {str(bits): 0.5 + bits / 1024 for bits in drawing.BITS}


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """A run whose networks have learned nothing; what is trained beside it is narrow and learns for a few steps."""
    plain = device_networks.ARCHITECTURES["plain"]
    monkeypatch.setitem(resnet.STACKWISE_BLOCKS, "resnet20", (1, 0, 0))
    monkeypatch.setitem(code.SIZES, "code_small", 4)
    monkeypatch.setattr(reader, "FILTERS", 4)
    monkeypatch.setattr(reader, "BLOCKS", 0)
    monkeypatch.setattr(decoders, "HIDDEN_UNITS", (8,))
    monkeypatch.setattr(sanity_checks, "STEPS", 2)
    monkeypatch.setattr(device_only, "ARCHITECTURES", {"plain": plain})
    run_dir = RunDir(tmp_path)
    models.classifier("resnet20", 32, 10).save(run_dir.classifier)
    code.code("code_small", 32).save(run_dir.transform)
    config = presets.code("digits")
    recipe = dataclasses.replace(config.transform_recipe, epochs=1, minimum_steps=0)
    config = dataclasses.replace(config, transform="code_small", transform_recipe=recipe)
    write_json(run_dir.config, config.to_json())
    write_json(run_dir.results, {"accuracy": {"plain": 0.9}, "accuracy_by_bits": ACCURACIES})
    return run_dir


def measured(run_dir):
    config = run_dir.load_config()
    dataset = sources.load("digits").with_training_images(256)
    return curve(run_dir, dataset, config, RATES, 1, "bin/tradeoff", Progress(io.StringIO()))


def test_it_has_its_form_and_the_same_command_trains_nothing_again(run_dir, monkeypatch):
    found = measured(run_dir)
    forms.require(found, Tradeoff, "")
    alone = found["device_only"]["networks"]["plain"]
    for row, bits in zip(found["rows"], RATES, strict=True):
        assert (row["bits"], row["protected"], row["plain"]) == (bits, ACCURACIES[str(bits)], 0.9)
        assert row["device_only"] == alone["accuracy"] and row["gain"] == row["protected"] - alone["accuracy"]
        assert alone["macs"] <= row["client_macs"]
        assert set(row["attacks"]) == {"dense", "convolutional", "nearest_neighbour"}
        assert row["strongest_ssim"] == row["attacks"][row["strongest_attack"]]["ssim"]
        assert row["strongest_ssim"] == max(attack["ssim"] for attack in row["attacks"].values())
        room = row["ceiling_ssim"] - row["class_alone_ssim"]
        beyond = row["strongest_ssim"] - row["class_alone_ssim"]
        assert row["leakage"] == (beyond / room if room > 0 else None)

    def trained_again(*arguments, **named):
        raise AssertionError("it was trained already")

    monkeypatch.setattr(Bench, "train", trained_again)
    monkeypatch.setattr(fitting, "fit", trained_again)
    again = measured(run_dir)
    assert again["rows"] == found["rows"] and again["device_only"] == found["device_only"]


def test_another_architecture_of_the_device_is_trained_too(run_dir, monkeypatch):
    dataset = sources.load("digits").with_training_images(256)
    opened = bench(run_dir, dataset, run_dir.load_config(), 1, Progress(io.StringIO()))
    found = []
    for names in (("plain",), ("plain", "residual")):
        monkeypatch.setattr(device_only, "ARCHITECTURES", {name: device_networks.ARCHITECTURES[name] for name in names})
        found.append(set(device_only.device_only(opened)["networks"]))
    assert found == [{"plain"}, {"plain", "residual"}]
