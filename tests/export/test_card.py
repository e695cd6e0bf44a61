"""The model card, of invented figures."""

import json

import pytest

from i2p_tf.export.card import card

MANIFEST = {
    "name": "cifar10_resnet20",
    "run_id": "0123456789abcdef",
    "dataset": "cifar10",
    "image_size": 32,
    "resize_rule": "crop",
    "class_names": ["plane", "car", "bird"],
    "networks": {"classifier": "resnet20", "transform": "small"},
    "keras": {"accuracy_plain": 0.8864, "accuracy_protected": 0.8711, "n": 1000},
    "environment": {"i2p_tf": "0.1.0", "commit": "abc", "processor": "EPYC"},
    "variants": {
        "int8": {"bytes": 203_000, "milliseconds": 0.7, "psnr_to_float32": 50.8, "parity": {"accuracy": 0.87}},
    },
    "saved_models": {"classifier": {"version": 3}},
}


def written(run_dir):
    return card(MANIFEST, run_dir.load_config(), run_dir.read_results())


def test_it_has_every_figure_with_its_n(write_run):
    text = written(write_run())
    for words in (
        "| accuracy, protected images",
        "| accuracy, protected, after jpeg_75",
        "0.8601",
        "1.20",  # of the MACs
        "0.7100 (inverse_network_seed0)",
        "reconstructed, SSIM mean, prior-only baseline label_only",
        "all sanity checks behave",
        "Newest version of the classifier: 3",
        "| expected calibration error, protected images",
        "0.0991",
        "0.8800 of 1.0, 0.9200 of 0.9",
        "0.8335 (bird)",
    ):
        assert words in text, words
    rows = [line for line in text.splitlines() if line.startswith("| accuracy, plain")]
    assert "0.8864" in rows[0] and "10,000" in rows[0]


def test_a_failed_sanity_check_is_not_hidden(write_run):
    assert "NOT VALID" in written(write_run(failed=("shifted: too low",)))


def test_without_an_attack_nothing_is_said_of_reconstructing(write_run):
    text = written(write_run(attacked=False))
    assert "assume that it can be reconstructed" in text and "reconstructed, SSIM mean" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transform": "codebook", "objective": "codebook"}, "which of 3 words was chosen"),
        ({"transform": "codebook", "objective": "codebook"}, "constants of the word and carry no confidence"),
        ({}, "assume that it can be reconstructed"),
    ],
)
def test_what_the_transform_does_is_said(write_run, changes, words):
    assert words in written(write_run(**changes))


def test_the_settings_are_there_and_no_places(write_run):
    text = written(write_run(data_dir="/home/somebody/data", feature_weights="/home/somebody/vgg.h5"))
    settings = json.loads(text.partition("```json")[2].partition("```")[0])
    assert settings["dataset"] == "cifar10" and settings["classifier_recipe"]["epochs"] > 0
    assert "somebody" not in text
    config = write_run("other", dataset="folder:/home/somebody/pets").load_config()
    text = card(MANIFEST | {"dataset": "folder:pets"}, config, {})
    assert "`bin/train --dataset=folder:pets`" in text and "somebody" not in text
