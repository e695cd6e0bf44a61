"""What a suite has found."""

import dataclasses

from i2p_tf.attacks import summary
from i2p_tf.hints import Values


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of a suite; as text it is a table for a terminal.

    Attributes:
        suite: its name.
        attacks: results of the attacks that reconstruct pictures, as in results.json, by name.
        sanity_checks: those of the sanity checks, likewise.
        failed_sanity_checks: what is wrong with them, in lines.
        prior_only: results of guesses that need no protected image.
        parts: what else leaks, by part of results.json.
        evaluation_classifier: accuracy of the evaluation classifier on `plain` and `protected` test images, and `n`.
        networks: digests of the networks that were attacked; empty where they are not known.
        environment: versions and processor.
    """

    suite: str
    attacks: dict[str, dict]
    sanity_checks: dict[str, dict]
    failed_sanity_checks: list[str]
    prior_only: dict[str, dict]
    parts: dict[str, dict]
    evaluation_classifier: dict[str, float]
    networks: dict[str, str]
    environment: dict

    @property
    def valid(self) -> bool:
        """Whether all sanity checks behave; if not, the attacks are too weak to prove anything."""
        return not self.failed_sanity_checks

    @property
    def strongest(self) -> Values:
        """By metric: which attack got most out of the images, how much, and its range over seeds."""
        return summary.strongest(self.attacks)

    def results(self) -> Values:
        """The parts of results.json that attacks write."""
        return {
            "attacks": self.attacks | {f"sanity_check_{name}": result for name, result in self.sanity_checks.items()},
            "prior_only": self.prior_only,
            **self.parts,
            "attack_suite": {
                "name": self.suite,
                "valid": self.valid,
                "failed_sanity_checks": self.failed_sanity_checks,
                "strongest": self.strongest,
                "evaluation_classifier": self.evaluation_classifier,
                "networks": self.networks,
                "environment": self.environment,
            },
        }

    def __str__(self) -> str:
        return summary.table(self.results())
