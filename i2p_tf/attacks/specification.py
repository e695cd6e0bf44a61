"""What a suite says of an attack: what the kinds share. Loads neither TensorFlow nor Keras."""

import dataclasses
from typing import Any, ClassVar

from i2p_tf.hints import Values

MOST_HELD_OUT = 500


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


class Specification:
    """An attack as a suite has it. Its subclasses are frozen dataclasses.

    Attributes:
        kind: the name of its row in `rows.ATTACKS`.
        seeded: whether it is repeated with other seeds; what is computed in closed form is not.
        pairs: how many of protected and plain images its attacker has; None for all training images.
        draws: whether it draws pictures instead of guessing the mean of what is possible; where nothing is left to
            reconstruct, such a picture resembles the plain one less than the mean image does.
    """

    kind: ClassVar[str]
    seeded: ClassVar[bool] = True
    draws: ClassVar[bool] = False
    pairs: int | None = 0

    @property
    def name(self) -> str:
        """Of the attack in results, which the seed is added to."""
        return self.kind

    @property
    def networks(self) -> tuple[str, ...]:
        """Keys of `rows.NETWORKS` that it uses."""
        return ()

    @property
    def sample(self) -> int | None:
        """How many test images are attacked, the first ones; None for all."""
        return None

    def entry(self, target: Any) -> str | None:
        """Its place among the results of a kind that has several in one part of results.json."""
        return None

    def result_name(self, target: Any) -> str:
        """Of the folder that its result is kept in."""
        return self.name

    def about(self, target: Any) -> Values:
        """What results.json says of it besides what is measured, as JSON."""
        own = dataclasses.asdict(self)  # type: ignore[call-overload]  # its subclasses are dataclasses
        return own | {"attack": self.name, "pairs": target.count(self.pairs)}

    def left_out(self, target: Any) -> str | None:
        """Why it can't be carried out against a `Target`: None if it can, an empty text if nobody need be told."""
        return None

    def fits_sanity_check(self, name: str, target: Any) -> bool:
        """Whether a sanity check can be asked for with as many pairs as there are."""
        return True


def held_out(count: int) -> int:
    """How many of so many examples an attacker keeps for validation: a tenth, at most `MOST_HELD_OUT`."""
    return min(MOST_HELD_OUT, -(-count // 10))
