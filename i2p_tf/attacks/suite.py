"""What is run with what: the suites, as data. Loads neither TensorFlow nor Keras."""

import dataclasses

from i2p_tf.attacks.threat_models import T1, T3


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
        loss: a key of `fitting.LOSSES`.
        training: a `Training`.
        pairs: how many the attacker has; None for all training images.
        threat_model: T1 for an attacker who makes pairs with h_θ, T3 for one who got hold of some.
    """

    architecture: str
    loss: str
    training: Training
    pairs: int | None = None
    threat_model: str = T1.name

    @property
    def name(self):
        leaked = f"_{self.pairs}_pairs" if self.threat_model == T3.name else ""
        return f"inverse_network_{self.architecture}_{self.loss}{leaked}"


@dataclasses.dataclass(frozen=True)
class Suite:
    """A fixed list of attacks, so that results can be compared.

    Attributes:
        attacks: `InverseNetwork`s; attacks that take no training are always run.
        control: the attack whose controls decide whether the results count.
        judge: how the independent classifier is trained that reads restored images.
        repetitions: with how many seeds each attack is run.
        test_images: how many are attacked, the first ones; None for all.
    """

    attacks: tuple[InverseNetwork, ...]
    control: InverseNetwork
    judge: Training
    repetitions: int = 1
    test_images: int | None = None


def _quick():
    """For two cores: 10,000 pairs, the smallest U-Net, 2,000 test images.

    CIFAR-10 at 32x32 on 2 cores of an AMD EPYC (Zen 3), float32: 9 minutes beside other work. Results: docs/attacks.md.
    """
    training = Training(steps=600)
    paper_loss = InverseNetwork("unet_tiny", "mse", training, pairs=10_000)
    attacks = (paper_loss, dataclasses.replace(paper_loss, loss="mse_ssim"))
    return Suite(attacks, control=paper_loss, judge=Training(steps=600), test_images=2_000)


def _standard():
    """Every architecture on all pairs, and one leak. Not yet measured."""
    training = Training(steps=1_500)
    paper_loss = InverseNetwork("unet_small", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("residual", "wide")]
    leak = dataclasses.replace(best_loss, pairs=1_000, threat_model=T3.name)
    control = dataclasses.replace(paper_loss, training=Training(steps=600))
    return Suite((paper_loss, best_loss, *others, leak), control, judge=Training(steps=1_500))


def _full():
    """What a publication needs: the paper's U-Net, a sweep of leaks, three seeds. Wants a GPU. Not yet measured."""
    training = Training(steps=20_000, batch_size=128, learning_rate=1e-3)
    paper_loss = InverseNetwork("unet_paper", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("unet_small", "residual", "wide")]
    leaks = [
        dataclasses.replace(best_loss, architecture="unet_small", pairs=pairs, threat_model=T3.name)
        for pairs in (100, 1_000, 10_000)
    ]
    control = dataclasses.replace(paper_loss, training=Training(steps=2_000, batch_size=128))
    return Suite((paper_loss, best_loss, *others, *leaks), control, judge=Training(steps=6_000), repetitions=3)


SUITES = {"quick": _quick(), "standard": _standard(), "full": _full()}
