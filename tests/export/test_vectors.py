"""What a port to a phone is checked with."""

import hashlib
import json
import pathlib

import numpy as np
import pytest

import i2p_tf
from i2p_tf.export import vectors

EXPORT = pathlib.Path(__file__).parents[2] / "exports" / "cifar10_resnet20"


@pytest.fixture(scope="module")
def shipped():
    return json.loads((EXPORT / vectors.FILE).read_text())


def test_the_images_follow_from_their_seeds_alone(shipped):
    images = [vectors.image(seed, shipped["image_size"]) for seed in shipped["seeds"]]
    assert images[1][0, :, 0].tolist() == [60] * 11 + [180] * 11 + [198] * 10
    assert [hashlib.sha256(image.tobytes()).hexdigest() for image in images] == shipped["inputs"]


def test_an_image_has_its_cells_at_any_size():
    for size in (32, 7, 224):
        image = vectors.image(5, size)
        assert image.shape == (size, size, 3) and len(np.unique(image.reshape(-1, 3), axis=0)) == vectors.CELLS**2


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_the_shipped_variants_make_the_shipped_outputs(shipped, variant):
    images = np.stack([vectors.image(seed, shipped["image_size"]) for seed in shipped["seeds"]])
    made = i2p_tf.load_transform(EXPORT, variant)(images).reshape(len(images), -1)
    values = np.array([output["values"] for output in shipped["outputs"][variant]])
    assert np.abs(made[:, shipped["places"]].astype(int) - values).max() <= 1  # processors round differently
    assert len(np.unique(values, axis=0)) >= 3  # a codebook that made one word of all would test nothing


def test_outputs_are_described_by_variant():
    made = vectors.vectors({"a": lambda images: images, "b": lambda images: 255 - images}, "run", 8)
    assert made["run_id"] == "run" and made["image_size"] == 8
    assert [output["sha256"] for output in made["outputs"]["a"]] == made["inputs"]
    values = [[output["values"] for output in made["outputs"][variant]] for variant in "ab"]
    assert np.all(np.add(*values) == 255) and np.shape(values[0]) == (len(vectors.SEEDS), vectors.VALUES)
