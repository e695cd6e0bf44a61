"""What is run with what: the suites, as data. Loads neither TensorFlow nor Keras."""

import dataclasses

from i2p_tf.attacks.threat_models import T0, T1, T2, T3


@dataclasses.dataclass(frozen=True)
class Training:
    """How an attacker trains a network: Adam, the learning rate falling to 0 along a cosine.

    Attributes:
        steps: batches, drawn at random.
        batch_size: images a step.
        learning_rate: the first and highest one.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 2e-3


@dataclasses.dataclass(frozen=True)
class InverseNetwork:
    """An ITN-Attack: a network that learns from pairs to restore the plain image from the protected one.

    Attributes:
        architecture: a key of `inverse_network.ARCHITECTURES`.
        loss: a member of `inverse_network.LOSSES`.
        training: a `Training`.
        pairs: how many the attacker has; None for all training images.
        asks_classifier: whether the network also sees what ψ makes of the protected image.
        threat_model: T1 for an attacker who makes pairs with h_θ, T3 for one who got hold of some.
    """

    architecture: str
    loss: str
    training: Training
    pairs: int | None = None
    asks_classifier: bool = False
    threat_model: str = T1.name

    @property
    def name(self):
        leaked = f"_{self.pairs}_pairs" if self.threat_model == T3.name else ""
        asking = "_class" if self.asks_classifier else ""
        return f"inverse_network_{self.architecture}_{self.loss}{asking}{leaked}"


@dataclasses.dataclass(frozen=True)
class LinearMap:
    """Ridge regression from whole protected images to whole plain ones.

    Attributes:
        pairs: how many the attacker has; None for all training images.
        threat_model: T1.
    """

    pairs: int | None = None
    threat_model: str = T1.name

    @property
    def name(self):
        return "linear_map"


@dataclasses.dataclass(frozen=True)
class GradientInversion:
    """Gradient descent through h_θ: Adam on the pixels, the learning rate falling to 0 along a cosine.

    Attributes:
        images: how many test images are attacked, the first ones.
        steps: of the descent.
        learning_rate: the first and highest one, in units of the pixels' range.
        prior_weight: of the total variation of the guess's difference to the mean image, against the squared distance
            of protected images in units of the mean image's; it falls with the learning rate.
        pairs: that the attacker makes with h_θ, for the first guess.
        threat_model: T2.
    """

    images: int
    steps: int
    learning_rate: float = 0.05
    prior_weight: float = 3e-4
    pairs: int = 1_000
    threat_model: str = T2.name

    @property
    def name(self):
        return "gradient_inversion"


@dataclasses.dataclass(frozen=True)
class Gan:
    """A CycleGAN: it learns from protected images and from plain ones of other pictures, never from a pair.

    Attributes:
        architecture: of both translating networks, a key of `inverse_network.ARCHITECTURES`.
        training: a `Training`.
        images: how many training images there are, half of them protected and half plain; None for all.
        threat_model: T0.
    """

    architecture: str
    training: Training
    images: int | None = None
    threat_model: str = T0.name

    @property
    def name(self):
        return f"gan_{self.architecture}"


@dataclasses.dataclass(frozen=True)
class Suite:
    """A fixed list of attacks, so that results can be compared.

    Attributes:
        attacks: `InverseNetwork`s; attacks that take no training are always run.
        linear_map: a `LinearMap`; None for none.
        gradient_inversion: a `GradientInversion`; None for none.
        gan: a `Gan`; None for none.
        control: the attack that is tried on the controls; weaker than those it speaks for, where it differs at all.
        judge: how the independent classifier is trained that reads restored images.
        repetitions: with how many seeds each attack is run.
        test_images: how many are attacked, the first ones; None for all.
    """

    attacks: tuple[InverseNetwork, ...]
    control: InverseNetwork
    judge: Training
    repetitions: int = 1
    test_images: int | None = None
    linear_map: LinearMap | None = None
    gradient_inversion: GradientInversion | None = None
    gan: Gan | None = None


def _quick():
    """For two cores: 10,000 pairs, the smallest U-Net, 2,000 test images, gradient descent for 20 of them.

    CIFAR-10 at 32x32 on one core of an AMD EPYC (Zen 3), float32: 12 minutes beside other work on the other core.
    Results: docs/results/cifar10_comparison/.
    """
    training = Training(steps=600)
    paper_loss = InverseNetwork("unet_tiny", "mse", training, pairs=10_000)
    attacks = (paper_loss, dataclasses.replace(paper_loss, loss="mse_ssim"))
    return Suite(
        attacks,
        control=dataclasses.replace(paper_loss, training=Training(steps=200)),
        judge=Training(steps=600),
        test_images=2_000,
        linear_map=LinearMap(pairs=10_000),
        gradient_inversion=GradientInversion(images=20, steps=200),
    )


def _standard():
    """Every architecture and loss on all pairs, one that asks ψ, one leak, a small GAN.

    CIFAR-10 at 32x32 on one core as above: 74 minutes beside other work. Results: docs/results/codebook.md.
    """
    training = Training(steps=1_000)
    paper_loss = InverseNetwork("unet_small", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    perceptual = dataclasses.replace(paper_loss, loss="mse_perceptual")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("residual", "wide")]
    asking = dataclasses.replace(best_loss, asks_classifier=True)
    leak = dataclasses.replace(best_loss, pairs=1_000, threat_model=T3.name)
    control = dataclasses.replace(paper_loss, training=Training(steps=200))
    return Suite(
        (paper_loss, best_loss, perceptual, *others, asking, leak),
        control,
        judge=Training(steps=1_500),
        linear_map=LinearMap(),
        gradient_inversion=GradientInversion(images=100, steps=300),
        gan=Gan("unet_tiny", Training(steps=800, batch_size=32, learning_rate=1e-3)),
    )


def _full():
    """What a publication needs: the paper's U-Net, a sweep of leaks, three seeds. Wants a GPU. Not yet measured."""
    training = Training(steps=20_000, batch_size=128, learning_rate=1e-3)
    paper_loss = InverseNetwork("unet_paper", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    perceptual = dataclasses.replace(paper_loss, loss="mse_perceptual")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("unet_small", "residual", "wide")]
    asking = dataclasses.replace(best_loss, asks_classifier=True)
    leaks = [
        dataclasses.replace(best_loss, architecture="unet_small", pairs=pairs, threat_model=T3.name)
        for pairs in (100, 1_000, 10_000)
    ]
    control = dataclasses.replace(paper_loss, training=Training(steps=2_000, batch_size=128))
    return Suite(
        (paper_loss, best_loss, perceptual, *others, asking, *leaks),
        control,
        judge=Training(steps=6_000),
        repetitions=3,
        linear_map=LinearMap(),
        gradient_inversion=GradientInversion(images=500, steps=2_000),
        gan=Gan("unet_small", Training(steps=20_000, batch_size=32, learning_rate=5e-4)),
    )


SUITES = {"quick": _quick(), "standard": _standard(), "full": _full()}
