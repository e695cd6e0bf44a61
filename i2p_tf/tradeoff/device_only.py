"""The device-only baseline: how well the device classifies with no cloud, at most at the cost of the encoder.

A code is worth sending only where the cloud reads more from it than the device could have read by itself. So the
baselines get what the code gets: data, augmentation, recipe, and ψ's answers to learn from.
"""

import functools
from typing import Any

import keras
import numpy as np

from i2p_tf import inference
from i2p_tf.models import cost
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.trainer import Trainer, accuracy
from i2p_tf.tradeoff.bench import Bench
from i2p_tf.tradeoff.device_networks import ARCHITECTURES, widest

TIMES = 2  # as long as h_θ's recipe: the encoder has its warm-up and the training with the reader


class DistilledTrainer(Trainer):
    """Trains a `network` by labels and ψ, as `classification`, a `Classification`, has it."""

    def __init__(self, network: keras.Model, classification: Classification) -> None:
        super().__init__(network, name="distilled_trainer")
        self.classification = classification

    def compute_losses(self, images: Any, labels: Any, training: bool) -> dict[str, Any]:
        values = self.classification(images, self.network(images, training=training), labels)
        return values | {"accuracy": accuracy(labels, values.pop("logits"))}


def device_only(bench: Bench) -> dict:
    """Trains all baselines.

    Returns:
        A dictionary: `best`, the name of the one that is best on validation images; `accuracy`, on test images, and
        `macs` of that one; `networks`, each with `accuracy`, `validation_accuracy`, `macs` and `parameters` by name.
    """
    networks = {}
    for name in ARCHITECTURES:
        measure = functools.partial(_measured, bench, name)
        result = bench.memory.result(f"device_only_{name}", {"times": TIMES}, {}, measure)
        if result:
            networks[name] = result
    if not networks:
        return {"best": None, "accuracy": None, "macs": None, "networks": {}}
    best = max(networks, key=lambda name: networks[name]["validation_accuracy"])
    return {"best": best, "networks": networks} | {key: networks[best][key] for key in ("accuracy", "macs")}


def _measured(bench, name):
    """One baseline; empty if the client computes too little for it."""
    dataset, config = bench.dataset, bench.config
    found = widest(name, cost.macs(bench.transform) or 0, config.transform, dataset.image_size, dataset.num_classes)
    if found is None:
        return {}
    build, macs = found
    keras.utils.set_random_seed(bench.seed)
    network = build()
    trainer = DistilledTrainer(network, classification(config, bench.classifier))
    bench.train(f"device_only_{name}", trainer, TIMES)
    reached = {
        key: float(np.mean(inference.classify(network, split.images) == split.labels))
        for key, split in (("validation_accuracy", dataset.validation), ("accuracy", dataset.test))
    }
    return reached | {"macs": macs, "parameters": cost.parameters(network)}
