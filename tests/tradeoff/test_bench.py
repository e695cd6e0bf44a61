"""What is trained beside a run: like its transform, and from where it was stopped."""

import dataclasses
import io

import keras
import numpy as np
import pytest
from keras import layers

from i2p_tf import presets
from i2p_tf.attacks.memory import RunMemory
from i2p_tf.files import write_json
from i2p_tf.objectives.classification import Classification
from i2p_tf.recipe import Recipe
from i2p_tf.run_dir import RunDir
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.bench import bench as open_bench
from i2p_tf.tradeoff.device_only import DistilledTrainer
from i2p_tf.training.progress import Progress

pytestmark = pytest.mark.slow


class Stopped(Exception):
    pass


def small(seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((16, 16, 3))
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(layers.AveragePooling2D(2)(images))))


@pytest.fixture
def bench(tmp_path, digits):
    run_dir = RunDir(tmp_path)
    recipe = Recipe(epochs=2, batch_size=256, learning_rate=0.1)
    progress = Progress(io.StringIO())
    memory = RunMemory(run_dir, "tradeoff", {"seed": 0}, progress.say)
    classifier = small(1)
    classifier.trainable = False
    return Bench(run_dir, presets.smoke("digits"), digits, classifier, None, recipe, memory, memory, progress)


def trained(bench):
    network = small(0)
    bench.train("part", DistilledTrainer({"small": network}, Classification(bench.classifier, 0.5)), bench.recipe)
    return network.get_weights()


def test_side_by_side_each_baseline_learns_what_it_learns_alone(bench):
    distils = Classification(bench.classifier, 0.5)
    alone, beside, other = small(0), small(0), small(2)
    bench.train("alone", DistilledTrainer({"one": alone}, distils), bench.recipe)
    bench.train("beside", DistilledTrainer({"one": beside, "other": other}, distils), bench.recipe)
    untrained = small(0)
    for one, two, start in zip(alone.get_weights(), beside.get_weights(), untrained.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
        assert np.abs(one - start).max() > 0.01


def test_it_goes_on_where_it_was_stopped_and_leaves_no_checkpoint(bench, tmp_path, monkeypatch):
    whole = trained(bench)
    assert bench.steps == 2 * (len(bench.dataset.train.labels) // 256)
    assert not list(tmp_path.rglob("*.npz"))

    def stop(line):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(bench.progress, "end_epoch", stop)
        with pytest.raises(Stopped):
            trained(bench)
    assert list(tmp_path.rglob("*.npz"))
    again = trained(bench)
    assert "part: going on after epoch 1 of 2" in bench.progress.stream.getvalue()
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_begun_with_another_setting_is_not_taken(bench, monkeypatch):
    def stop(line):
        raise Stopped

    monkeypatch.setattr(bench.progress, "end_epoch", stop)
    other = RunMemory(bench.run_dir, "tradeoff", {"seed": 1}, bench.progress.say)
    longer = dataclasses.replace(bench.recipe, epochs=3)
    for changed in ({}, {"lasting": other}, {"recipe": longer}):
        with pytest.raises(Stopped):
            trained(dataclasses.replace(bench, **changed))
    assert "going on" not in bench.progress.stream.getvalue()


def test_what_does_not_depend_on_the_attackers_steps_is_kept_when_they_change(tmp_path, digits):
    run_dir = RunDir(tmp_path)
    small(0).save(run_dir.classifier)
    small(1).save(run_dir.transform)
    config = presets.code("digits")
    write_json(run_dir.config, config.to_json())
    benches = [open_bench(run_dir, digits, config, steps, Progress(io.StringIO())) for steps in (1, 1000)]
    assert benches[0].steps < benches[1].steps
    kept = [
        [
            memory.result(name, {}, {}, lambda name=name, index=index: {name: index})
            for index, memory in enumerate(memories)
        ]
        for name, memories in (
            ("lasting", [bench.lasting for bench in benches]),
            ("steps", [bench.memory for bench in benches]),
        )
    ]
    assert kept == [[{"lasting": 0}, {"lasting": 0}], [{"steps": 0}, {"steps": 1}]]
