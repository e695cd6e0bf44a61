"""What `train_step.py` times: the training steps of this project, as data. Loads neither TensorFlow nor PyTorch."""

import dataclasses

import numpy as np

from i2p_tf import presets
from i2p_tf.attacks.specifications import InverseNetwork
from i2p_tf.attacks.suite import SUITES
from i2p_tf.config import Config

IMAGE_SIZE = 32
CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Workload:
    """One kind of training step.

    Attributes:
        name: for people.
        kind: "transform", h_θ against frozen ψ and φ; "classifier", ψ; or "inverse", the ITN-Attack's network.
        settings: the `Config` of the experiment; of an inverse network its `InverseNetwork`.
    """

    name: str
    kind: str
    settings: Config | InverseNetwork

    @property
    def recipe(self):
        """The `Recipe` or `Training` of the network that is trained."""
        return self.settings.training if self.kind == "inverse" else getattr(self.settings, f"{self.kind}_recipe")

    def batch(self):
        """A fixed batch of random numbers, on which speed does not depend.

        Returns:
            Tuple of images in [0, 1], float32 `(batch_size, size, size, 3)`, and targets: of an inverse network images
            like them, else labels, int32 `(batch_size,)`.
        """
        generator = np.random.default_rng(0)
        shape = (self.recipe.batch_size, IMAGE_SIZE, IMAGE_SIZE, 3)
        images, plain = generator.random((2, *shape), dtype=np.float32)
        labels = generator.integers(CLASSES, size=shape[0], dtype=np.int32)
        return images, plain if self.kind == "inverse" else labels


def workloads():
    """The published steps, h_θ in two sizes; h_θ of the preset `paper_two_cores`; inverse networks of suites."""
    return [
        _transform("paper", 64),
        _transform("paper", 128),
        _transform("small", 128),
        Workload("transform, paper_two_cores", "transform", presets.paper_two_cores("cifar10")),
        _classifier(128),
        _inverse("unet_paper", 64),
        _inverse("unet_small", 64),
    ]


def quick_workloads():
    """One of each kind, small, for trying the benchmark."""
    return [_transform("small", 16), _classifier(16), _inverse("unet_small", 16)]


def _transform(size, batch_size):
    """With the paper's objective and recipe."""
    config = presets.paper("cifar10")
    recipe = dataclasses.replace(config.transform_recipe, batch_size=batch_size)
    config = dataclasses.replace(config, transform=size, transform_recipe=recipe)
    return Workload(f"transform, U-Net {size}", "transform", config)


def _classifier(batch_size):
    config = presets.paper("cifar10")
    recipe = dataclasses.replace(config.classifier_recipe, batch_size=batch_size)
    return Workload(
        f"classifier, {config.classifier}", "classifier", dataclasses.replace(config, classifier_recipe=recipe)
    )


def _inverse(architecture, batch_size):
    """With the published loss, the pixels' mean squared error."""
    specification = SUITES["standard"].sanity_checks[0]
    training = dataclasses.replace(specification.training, batch_size=batch_size)
    specification = dataclasses.replace(specification, architecture=architecture, loss="mse", training=training)
    return Workload(f"inverse network, {architecture}", "inverse", specification)
