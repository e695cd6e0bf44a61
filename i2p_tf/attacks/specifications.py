"""What a suite says of each kind of attack: a dataclass. Loads neither TensorFlow nor Keras."""

import dataclasses
import hashlib
from typing import Any

from i2p_tf.attacks.specification import Specification, Training, held_out
from i2p_tf.attacks.threat_models import T0, T1, T2, T3
from i2p_tf.hints import Values

MOST_SYMBOLS = 12_288  # of a linear map: the halves of bytes of 45x45 pixels; the time grows with the third power


@dataclasses.dataclass(frozen=True)
class AsIs(Specification):
    """The protected image as a guess of the plain one."""

    kind = "as_is"
    seeded = False

    def about(self, target: Any) -> Values:
        return {"threat_model": T0.name, "pairs": 0}


@dataclasses.dataclass(frozen=True)
class FeatureReconstruction(AsIs):
    """Inverted pixels folded back."""

    kind = "feature_reconstruction"


@dataclasses.dataclass(frozen=True)
class InverseNetwork(Specification):
    """An ITN-Attack: a network that learns from pairs to reconstruct the plain image from the protected one.

    Attributes:
        architecture: a key of `rows.NETWORKS`.
        loss: a member of `inverse_network.LOSSES`.
        training: a `Training`.
        pairs: how many the attacker has; None for all training images.
        asks_classifier: whether the network also sees what ψ makes of the protected image.
        threat_model: T1 for an attacker who makes pairs with h_θ, T3 for one who got hold of some.
    """

    kind = "inverse_network"

    architecture: str
    loss: str
    training: Training
    pairs: int | None = None
    asks_classifier: bool = False
    threat_model: str = T1.name

    @property
    def name(self) -> str:
        leaked = f"_{self.pairs}_pairs" if self.threat_model == T3.name else ""
        asking = "_class" if self.asks_classifier else ""
        return f"{self.kind}_{self.architecture}_{self.loss}{asking}{leaked}"

    @property
    def networks(self) -> tuple[str, ...]:
        return (self.architecture,)


@dataclasses.dataclass(frozen=True)
class LinearMap(Specification):
    """Ridge regression from whole protected images to whole plain ones.

    Attributes:
        pairs: how many the attacker has; None for all training images.
        threat_model: T1.
    """

    kind = "linear_map"
    seeded = False

    pairs: int | None = None
    threat_model: str = T1.name

    def about(self, target: Any) -> Values:
        return super().about(target) | {"halves": target.halves}

    def left_out(self, target: Any) -> str | None:
        size = target.image_size
        return f"images of {size}x{size} have too many values" if symbols(size, True) > MOST_SYMBOLS else None

    def fits_sanity_check(self, name: str, target: Any) -> bool:
        """What moves far can be asked for only where there are more pairs to learn from than values."""
        pairs = target.count(self.pairs)
        return name == "constant" or pairs - held_out(pairs) > symbols(target.image_size, halves=False)


@dataclasses.dataclass(frozen=True)
class Flow(Specification):
    """Flow matching: pictures drawn from noise, each step conditioned on the protected image.

    Attributes:
        architecture: of the network that says where the noise flows, a key of `rows.NETWORKS`.
        training: a `Training`.
        candidates: pictures drawn for each protected image.
        steps: from noise to a picture.
        images: how many test images are attacked, the first ones; None for all.
        pairs: how many the attacker has; None for all training images.
        threat_model: T1; the attacker protects the candidates, too.
    """

    kind = "flow"
    draws = True

    architecture: str
    training: Training
    candidates: int = 4
    steps: int = 8
    images: int | None = None
    pairs: int | None = None
    threat_model: str = T1.name

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.architecture}"

    @property
    def networks(self) -> tuple[str, ...]:
        return (self.architecture,)

    @property
    def sample(self) -> int | None:
        return self.images

    def about(self, target: Any) -> Values:
        return super().about(target) | {"images": target.tried(self.images)}

    def left_out(self, target: Any) -> str | None:
        return "whoever has no key can't protect a candidate" if target.encryption else None


@dataclasses.dataclass(frozen=True)
class GradientInversion(Specification):
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

    kind = "gradient_inversion"
    seeded = False

    images: int
    steps: int
    learning_rate: float = 0.05
    prior_weight: float = 3e-4
    pairs: int = 1_000
    threat_model: str = T2.name

    @property
    def sample(self) -> int | None:
        return self.images

    def about(self, target: Any) -> Values:
        return super().about(target) | {"images": target.tried(self.images)}

    def left_out(self, target: Any) -> str | None:
        if target.encryption:
            return "whoever has no key has nothing to differentiate"
        return None if target.transform else "there is no network to differentiate"


@dataclasses.dataclass(frozen=True)
class Gan(Specification):
    """A CycleGAN: it learns from protected images and from plain ones of other pictures, never from a pair.

    Attributes:
        architecture: of both translating networks, a key of `rows.NETWORKS`.
        training: a `Training`.
        images: how many training images there are, half of them protected and half plain; None for all.
        threat_model: T0.
    """

    kind = "gan"

    architecture: str
    training: Training
    images: int | None = None
    threat_model: str = T0.name

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.architecture}"

    @property
    def networks(self) -> tuple[str, ...]:
        return (self.architecture,)

    def about(self, target: Any) -> Values:
        return super().about(target) | {"images": 2 * (target.count(self.images) // 2)}


@dataclasses.dataclass(frozen=True)
class Linkage(Specification):
    """Whether two protected pictures of one thing are recognised as such.

    Attributes:
        shift: by how many pixels one is moved to the right; the left edge is repeated.
        brighter: by how many levels of 255.
        threat_model: T0.
    """

    kind = "linkage"
    seeded = False

    shift: int = 1
    brighter: int = 8
    threat_model: str = T0.name

    def about(self, target: Any) -> Values:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class BruteForce(Specification):
    """All keys of a shrunken keyed method.

    Attributes:
        shrunken_key_bits: so few that all can be tried.
        pictures: test images that are tried, the first ones.
        threat_model: T0.
    """

    kind = "brute_force"

    shrunken_key_bits: int = 12
    pictures: int = 20
    threat_model: str = T0.name

    def about(self, target: Any) -> Values:
        return {
            "threat_model": self.threat_model,
            "shrunken_key_bits": self.shrunken_key_bits,
            "n": target.tried(self.pictures),
        }

    def left_out(self, target: Any) -> str | None:
        return None if target.encryption else ""


@dataclasses.dataclass(frozen=True)
class AttributeInference(Specification):
    """A classifier of another attribute than the class, trained on protected images.

    Attributes:
        training: a `Training`.
        threat_model: T1.
    """

    kind = "attribute_inference"

    training: Training
    threat_model: str = T1.name

    def entry(self, target: Any) -> str | None:
        return target.attribute

    def result_name(self, target: Any) -> str:
        return f"attribute_{target.attribute}"

    def about(self, target: Any) -> Values:
        splits = target.train, target.test
        return dataclasses.asdict(self) | {
            "attribute": target.attribute,
            "values": target.attribute_values,
            "sha256": hashlib.sha256(b"".join(split.attribute.tobytes() for split in splits)).hexdigest(),
        }

    def left_out(self, target: Any) -> str | None:
        return None if target.attribute else ""


def symbols(image_size: int, halves: bool) -> int:
    """How many values an image has: bytes, or halves of bytes; what a linear map has to be learned for."""
    return image_size**2 * 3 * (2 if halves else 1)
