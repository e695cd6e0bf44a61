"""The device-only baseline: how well the device classifies with no cloud, at most at the cost of the encoder.

A code is worth sending only where the cloud reads more from it than the device could have read by itself. So the
baselines get what the code gets: data, augmentation, recipe, and ψ's answers to learn from.
"""

from typing import Any

import keras
import numpy as np

from i2p_tf import inference
from i2p_tf.models import cost
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.trainer import Trainer, accuracy
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.device_networks import ARCHITECTURES, widest

NAME = "device_only"


class DistilledTrainer(Trainer):
    """Trains several networks side by side, each by labels and ψ: ψ costs many times what they do, and answers once.

    The epoch counts whose validation losses have the lowest sum.

    Args:
        networks: images in [0, 1] to logits, by name.
        classification: a `Classification`.
    """

    def __init__(self, networks: dict[str, keras.Model], classification: Classification) -> None:
        images = keras.Input(next(iter(networks.values())).input_shape[1:], name="images")
        logits = {name: network(images) for name, network in networks.items()}
        super().__init__(keras.Model(images, logits, name="side_by_side"), name="distilled_trainer")
        self.classification = classification

    def compute_losses(self, images: Any, labels: Any, training: bool) -> dict[str, Any]:
        answers = self.classification.answers(images)
        values = {"loss": 0.0}
        for name, logits in self.network(images, training=training).items():
            loss = self.classification(images, logits, labels, answers)["loss"]
            values |= {"loss": values["loss"] + loss, f"{name}_accuracy": accuracy(labels, logits)}
        return values


def device_only(bench: Bench) -> dict:
    """Trains all baselines.

    Returns:
        A dictionary: `best`, the name of the one that is best on validation images; `accuracy`, on test images, and
        `macs` of that one; `networks`, each with `accuracy`, `validation_accuracy`, `macs` and `parameters` by name.
    """
    networks = bench.lasting.result(NAME, {"architectures": list(ARCHITECTURES)}, {}, lambda: _measured(bench))
    if not networks:
        return {"best": None, "accuracy": None, "macs": None, "networks": {}}
    best = max(networks, key=lambda name: networks[name]["validation_accuracy"])
    return {"best": best, "networks": networks} | {key: networks[best][key] for key in ("accuracy", "macs")}


def _measured(bench):
    """All baselines that the client could compute, by name."""
    networks = _as_wide_as_possible(bench)
    if networks:
        distils = classification(bench.config, bench.classifier)
        # As long as h_θ whatever the attackers get: a baseline that has learned less would make the code look better.
        bench.train(NAME, DistilledTrainer(networks, distils), bench.config.transform_recipe)
    return {name: _reached(network, bench.dataset) for name, network in networks.items()}


def _as_wide_as_possible(bench):
    dataset = bench.dataset
    macs = cost.macs(bench.transform) or 0
    networks = {}
    for name in ARCHITECTURES:
        found = widest(name, macs, dataset.image_size, dataset.num_classes)
        if found:
            keras.utils.set_random_seed(bench.seed)
            networks[name] = found[0]()
    return networks


def _reached(network, dataset):
    """The accuracies of a baseline, and what it costs."""
    accuracies = {
        key: float(np.mean(inference.classify(network, split.images) == split.labels))
        for key, split in (("validation_accuracy", dataset.validation), ("accuracy", dataset.test))
    }
    return accuracies | {"macs": cost.macs(network), "parameters": cost.parameters(network)}
