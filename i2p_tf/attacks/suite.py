"""What is run with what: the suites, as data. Loads neither TensorFlow nor Keras."""

import dataclasses

from i2p_tf.attacks.rows import NETWORKS
from i2p_tf.attacks.specification import Specification, Training
from i2p_tf.attacks.specifications import (
    AsIs,
    AttributeInference,
    BruteForce,
    FeatureReconstruction,
    Flow,
    Gan,
    GradientInversion,
    InverseNetwork,
    LinearMap,
    Linkage,
)
from i2p_tf.attacks.threat_models import T3
from i2p_tf.errors import InputError, unknown_name

OWN = "own"  # the name of a suite that is not one of `SUITES`
ALWAYS = (AsIs(), FeatureReconstruction())  # take no training
READING = (Linkage(), BruteForce())  # reconstruct no pictures


@dataclasses.dataclass(frozen=True)
class Suite:
    """A fixed list of attacks, so that results can be compared.

    Attributes:
        attacks: `Specification`s; those of `ALWAYS` and `READING` are run besides.
        sanity_checks: those that are tried on the sanity checks; weaker than what they speak for, where they differ at
            all. The first one's sanity checks are called by their names alone.
        evaluation_classifier: how the classifier is trained that reads reconstructed images, and that of an attribute.
        label_only: how the network is trained that draws pictures from the class alone.
        repetitions: with how many seeds each attack is run.
        test_images: how many are attacked, the first ones; None for all.
    """

    attacks: tuple[Specification, ...]
    sanity_checks: tuple[Specification, ...]
    evaluation_classifier: Training
    label_only: Training
    repetitions: int = 1
    test_images: int | None = None

    @property
    def everything(self) -> tuple[Specification, ...]:
        """All attacks in the order in which they are run."""
        return (*ALWAYS, *self.attacks, *READING, AttributeInference(self.evaluation_classifier))

    @property
    def most_pairs(self) -> int | None:
        """How many pairs the attackers need at most; None for all training images."""
        pairs = [attack.pairs for attack in (*self.attacks, *self.sanity_checks)]
        return None if None in pairs else max(filter(None, pairs), default=None)

    @property
    def learner(self) -> InverseNetwork | None:
        """The attack that is also tried with pairs of other pictures; None where nothing learns from pairs."""
        learners = [attack for attack in self.attacks if isinstance(attack, InverseNetwork)]
        return dataclasses.replace(learners[0], loss="mse_ssim") if learners else None

    def check(self, name: str, image_size: int) -> None:
        """Raises an `InputError`, where this suite called `name` has a network that takes no images of that size."""
        attacks = (*self.attacks, *self.sanity_checks)
        for network in dict.fromkeys(network for attack in attacks for network in attack.networks):
            multiple = NETWORKS.find(network).multiple
            if image_size % multiple:
                raise InputError(
                    f"the suite {name!r} does not fit these images: their size must be a multiple of {multiple} for "
                    f"the network {network}. Received: {image_size}"
                )


def _quick():
    """For two cores: 10,000 pairs, the smallest U-Net, 2,000 test images, gradient descent for 20 of them.

    CIFAR-10 at 32x32 on one core of an AMD EPYC (Zen 3), float32: 12 minutes beside other work on the other core.
    Results: docs/results/cifar10_comparison/.
    """
    training = Training(steps=600)
    paper_loss = InverseNetwork("unet_tiny", "mse", training, pairs=10_000)
    linear, descent = LinearMap(pairs=10_000), GradientInversion(images=20, steps=200)
    return Suite(
        (paper_loss, dataclasses.replace(paper_loss, loss="mse_ssim"), linear, descent),
        sanity_checks=(dataclasses.replace(paper_loss, training=Training(steps=200)), descent, linear),
        evaluation_classifier=Training(steps=600),
        label_only=training,
        test_images=2_000,
    )


def _standard():
    """Every network and loss on all pairs, one that asks ψ, one leak, a small flow, a small GAN.

    CIFAR-10 at 32x32 on one core as above, without the residual decoder and the flow, which came later: 74 minutes
    beside other work. Results: docs/results/codebook.md.
    """
    training = Training(steps=1_000)
    paper_loss = InverseNetwork("unet_small", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    perceptual = dataclasses.replace(paper_loss, loss="mse_perceptual")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("residual", "wide")]
    asking = dataclasses.replace(best_loss, asks_classifier=True)
    leak = dataclasses.replace(best_loss, pairs=1_000, threat_model=T3.name)
    decoder = InverseNetwork("residual_decoder", "mse", Training(steps=600, batch_size=32, learning_rate=1e-3))
    flow = Flow("unet_small", training, candidates=4, images=2_000)
    gan = Gan("unet_tiny", Training(steps=800, batch_size=32, learning_rate=1e-3))
    linear, descent = LinearMap(), GradientInversion(images=100, steps=300)
    weaker = [
        dataclasses.replace(attack, training=dataclasses.replace(attack.training, steps=200))
        for attack in (paper_loss, decoder, flow)
    ]
    return Suite(
        (paper_loss, best_loss, perceptual, *others, decoder, asking, leak, linear, flow, gan, descent),
        sanity_checks=(weaker[0], descent, linear, *weaker[1:]),
        evaluation_classifier=Training(steps=1_500),
        label_only=training,
    )


def _full():
    """What a publication needs: the paper's U-Net, a sweep of leaks, three seeds. Wants a GPU. Not yet measured."""
    training = Training(steps=20_000, batch_size=128, learning_rate=1e-3)
    paper_loss = InverseNetwork("unet_paper", "mse", training)
    best_loss = dataclasses.replace(paper_loss, loss="mse_ssim")
    perceptual = dataclasses.replace(paper_loss, loss="mse_perceptual")
    others = [dataclasses.replace(best_loss, architecture=name) for name in ("unet_small", "residual", "wide")]
    decoder = dataclasses.replace(paper_loss, architecture="residual_decoder")
    asking = dataclasses.replace(best_loss, asks_classifier=True)
    leaks = [
        dataclasses.replace(best_loss, architecture="unet_small", pairs=pairs, threat_model=T3.name)
        for pairs in (100, 1_000, 10_000)
    ]
    flow = Flow("unet_small", training, candidates=16, steps=16)
    gan = Gan("unet_small", Training(steps=20_000, batch_size=32, learning_rate=5e-4))
    linear, descent = LinearMap(), GradientInversion(images=500, steps=2_000)
    weaker = [
        dataclasses.replace(attack, training=Training(steps=2_000, batch_size=128))
        for attack in (paper_loss, decoder, flow)
    ]
    return Suite(
        (paper_loss, best_loss, perceptual, *others, decoder, asking, *leaks, linear, flow, gan, descent),
        sanity_checks=(weaker[0], descent, linear, *weaker[1:]),
        evaluation_classifier=Training(steps=6_000),
        label_only=training,
        repetitions=3,
    )


SUITES = {"quick": _quick(), "standard": _standard(), "full": _full()}


def find_suite(name: str) -> Suite:
    """The `Suite` of a name that a user gave; `InputError`, with the nearest name, if there is none."""
    if name not in SUITES:
        raise unknown_name("suite", name, tuple(SUITES))
    return SUITES[name]
