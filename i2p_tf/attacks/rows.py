"""The tables of attacks and of attackers' networks. Loads neither TensorFlow nor Keras.

A row says where its code is; suites, runs, reports and documentation read the rest of it here. Another package adds its
own by `ATTACKS.register` and `NETWORKS.register`.
"""

import dataclasses
from collections.abc import Callable

from i2p_tf.attacks import specifications
from i2p_tf.attacks.specification import Specification
from i2p_tf.attacks.threat_models import T0, T1, T2, ThreatModel
from i2p_tf.tables import Table

KINDS = "i2p_tf.attacks.kinds"
MOVED = ("identity", "fixed_key_pe", "shifted", "constant")  # sanity checks of who looks at each place's surroundings


@dataclasses.dataclass(frozen=True)
class Attack:
    """A kind of attack.

    Attributes:
        name: as the names of its results begin, and the `kind` of its specification.
        help: what it does, in a line.
        title: in a report.
        threat_model: what its attacker holds, where the specification says nothing else.
        specification: the subclass of `Specification` of which a suite has instances.
        code: `"module:function"`, or the function: of a specification, a `Target`, a seed and `say` to uint8 guesses of
            the first test images and a dictionary of what else is to be in the result. Of an attack that guesses no
            pictures (`part`) that dictionary alone.
        sanity checks: keys of `sanity_checks.SANITY_CHECKS` that it is tried on.
        part: where its result stands in results.json, if it guesses no pictures.
        by_name: whether that part has several results, by `Specification.entry`.
    """

    name: str
    help: str
    title: str
    threat_model: ThreatModel
    specification: type[Specification]
    code: str | Callable
    sanity_checks: tuple[str, ...] = ()
    part: str | None = None
    by_name: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """The architecture of an attacker's network.

    Attributes:
        name: of the row.
        help: what it can and can't do, in a line.
        title: in a report.
        code: `"module:function"`, or the function: of the image size and the channels of what the network sees, the
            first guess among it, to a Keras model that gives a correction of the guess, three channels, zero at first.
        multiple: image sizes that it takes are multiples of this.
    """

    name: str
    help: str
    title: str
    code: str | Callable
    multiple: int = 1


ATTACKS: Table[Attack] = Table("attack")
NETWORKS: Table[Network] = Table("attacker's network")

ATTACKS.register(
    Attack(
        "as_is",
        help="takes the protected image for the plain one",
        title="what is sent, as it is",
        threat_model=T0,
        specification=specifications.AsIs,
        code=f"{KINDS}.as_is:attack",
    )
)
ATTACKS.register(
    Attack(
        "feature_reconstruction",
        help="FR-Attack: XORs values above 127 with 255",
        title="inverted pixels folded back",
        threat_model=T0,
        specification=specifications.FeatureReconstruction,
        code=f"{KINDS}.feature_reconstruction:attack",
    )
)
ATTACKS.register(
    Attack(
        "inverse_network",
        help="ITN-Attack: a network that learns from pairs to reconstruct the plain image",
        title="inverse network",
        threat_model=T1,
        specification=specifications.InverseNetwork,
        code=f"{KINDS}.inverse_network:attack",
        sanity_checks=MOVED,
    )
)
ATTACKS.register(
    Attack(
        "linear_map",
        help="ridge regression from whole protected images to whole plain ones, in closed form",
        title="linear map of whole images",
        threat_model=T1,
        specification=specifications.LinearMap,
        code=f"{KINDS}.linear_map:attack",
        sanity_checks=("fixed_key_etc", "constant"),
    )
)
ATTACKS.register(
    Attack(
        "flow",
        help="flow matching: draws pictures that fit the protected image, and takes the one whose protection fits best",
        title="best of several pictures drawn by a flow",
        threat_model=T1,
        specification=specifications.Flow,
        code=f"{KINDS}.flow:attack",
        sanity_checks=("identity", "shifted", "constant"),
    )
)
ATTACKS.register(
    Attack(
        "gan",
        help="CycleGAN: translates without a single pair",
        title="unpaired GAN",
        threat_model=T0,
        specification=specifications.Gan,
        code=f"{KINDS}.gan:attack",
    )
)
ATTACKS.register(
    Attack(
        "gradient_inversion",
        help="descent on the pixels of a guess until h_θ makes the protected image of it",
        title="gradient descent through h_θ",
        threat_model=T2,
        specification=specifications.GradientInversion,
        code=f"{KINDS}.gradient_inversion:attack",
        sanity_checks=("identity", "shifted", "constant"),
    )
)
ATTACKS.register(
    Attack(
        "linkage",
        help="searches a protected image among those of the same pictures, slightly altered",
        title="linkage",
        threat_model=T0,
        specification=specifications.Linkage,
        code=f"{KINDS}.linkage:attack",
        part="linkage",
    )
)
ATTACKS.register(
    Attack(
        "brute_force",
        help="tries all keys of a keyed method, shrunken to a few bits",
        title="brute force over keys",
        threat_model=T0,
        specification=specifications.BruteForce,
        code=f"{KINDS}.brute_force:attack",
        part="brute_force",
    )
)
ATTACKS.register(
    Attack(
        "attribute_inference",
        help="a network that learns to infer something besides the class from protected images",
        title="another attribute",
        threat_model=T1,
        specification=specifications.AttributeInference,
        code=f"{KINDS}.attribute_inference:attack",
        part="attribute_inference",
        by_name=True,
    )
)

NETWORKS.register(
    Network(
        "unet_tiny",
        help="the U-Net of the paper with 8 to 32 filters",
        title="tiny U-Net",
        code=f"{KINDS}.networks.unet:tiny",
        multiple=4,
    )
)
NETWORKS.register(
    Network(
        "unet_small",
        help="the U-Net of the paper with 16 to 128 filters",
        title="small U-Net",
        code=f"{KINDS}.networks.unet:small",
        multiple=8,
    )
)
NETWORKS.register(
    Network(
        "unet_paper",
        help="the U-Net of the paper, 64 to 1024 filters",
        title="the paper's U-Net",
        code=f"{KINDS}.networks.unet:paper",
        multiple=16,
    )
)
NETWORKS.register(
    Network(
        "residual",
        help="at half the resolution, without skips past it",
        title="residual network",
        code=f"{KINDS}.networks.residual:residual",
        multiple=2,
    )
)
NETWORKS.register(
    Network(
        "residual_decoder",
        help="eight residual blocks of 64 channels at full resolution, as in work on conditional-entropy bounds",
        title="residual decoder",
        code=f"{KINDS}.networks.residual_decoder:residual_decoder",
    )
)
NETWORKS.register(
    Network(
        "wide",
        help="one wide layer that sees the whole picture",
        title="wide network",
        code=f"{KINDS}.networks.wide:wide",
    )
)


def kind_of(name: str) -> Attack | None:
    """The row of an attack by the name of its results, which begins with the row's; None of an unknown one."""
    return max(
        (row for row in ATTACKS.values() if f"{name}_".startswith(f"{row.name}_")),
        key=lambda row: len(row.name),
        default=None,
    )
