"""What a suite has found."""

import dataclasses

from i2p_tf.attacks import summary


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of a suite; as text it is a table for a terminal.

    Attributes:
        suite: its name.
        attacks: results of the attacks that restore pictures, as in results.json, by name.
        controls: those of the controls, likewise.
        failed_controls: what is wrong with them, in lines.
        floors: results of guesses that need no protected image.
        parts: what else leaks, by part of results.json.
        judge: accuracy of the independent classifier on `plain` and `protected` test images, and `n`.
        networks: digests of the networks that were attacked; empty where they are not known.
        environment: versions and processor.
    """

    suite: str
    attacks: dict[str, dict]
    controls: dict[str, dict]
    failed_controls: list[str]
    floors: dict[str, dict]
    parts: dict[str, dict]
    judge: dict[str, float]
    networks: dict[str, str]
    environment: dict

    @property
    def valid(self):
        """Whether all controls behave; if not, the attacks are too weak to prove anything."""
        return not self.failed_controls

    @property
    def strongest(self):
        """By metric: which attack got most out of the images, how much, and its range over seeds."""
        return summary.strongest(self.attacks)

    def results(self):
        """The parts of results.json that attacks write."""
        return {
            "attacks": self.attacks | {f"control_{name}": result for name, result in self.controls.items()},
            "floors": self.floors,
            **self.parts,
            "attack_suite": {
                "name": self.suite,
                "valid": self.valid,
                "failed_controls": self.failed_controls,
                "strongest": self.strongest,
                "judge": self.judge,
                "networks": self.networks,
                "environment": self.environment,
            },
        }

    def __str__(self):
        return summary.table(self.results())
