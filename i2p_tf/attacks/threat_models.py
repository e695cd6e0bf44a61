"""What an attacker holds besides the protected images that travel."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ThreatModel:
    """What the attacker `holds`, in words for a table."""

    name: str
    holds: str


T0 = ThreatModel("T0", "protected images, and perhaps other plain pictures of the same kind")
T1 = ThreatModel("T1", "h_θ, which is public, and so any number of pairs of plain and protected images")
T2 = ThreatModel("T2", "h_θ and its weights, to differentiate it")
T3 = ThreatModel("T3", "a limited number of leaked pairs, without h_θ")

THREAT_MODELS = {model.name: model for model in (T0, T1, T2, T3)}
