"""The tables of which an experiment names an entry each, and the parameters of all their rows."""

from i2p_tf.channels.table import CHANNELS
from i2p_tf.encryption.table import SCHEMES
from i2p_tf.models.classifiers.table import APPLICATION, CLASSIFIERS
from i2p_tf.models.transforms.table import TRANSFORMS
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.tables import Parameter

TABLES = {
    "classifier": CLASSIFIERS,
    "transform": TRANSFORMS,
    "objective": OBJECTIVES,
    "channel": CHANNELS,
    "encryption": SCHEMES,
}


def all_parameters() -> dict[str, Parameter]:
    """The parameters of all rows of all tables, by name."""
    return {own.name: own for table in TABLES.values() for row in table.values() for own in row.parameters}


def paths() -> dict[str, tuple[str, ...]]:
    """The words, by name of a field or parameter, that it may hold; any other text there is the path of a file."""
    words = {name: parameter.allowed for name, parameter in all_parameters().items() if parameter.file}
    return {"classifier_path": (), "custom_objects": ()} | words


def rows_with(parameter: str) -> list[tuple[str, str]]:
    """The rows, each behind its concept, that have a parameter of that name."""
    return [
        (concept, row.name)
        for concept, table in TABLES.items()
        for row in table.values()
        if parameter in (own.name for own in row.parameters)
    ]


def owners(parameter: str) -> str:
    """The entries that have a parameter, in words."""
    names: dict[str, list[str]] = {}
    for concept, name in rows_with(parameter):
        names.setdefault(concept, []).append(f"{APPLICATION}NAME" if name.startswith(APPLICATION) else name)
    return " and ".join(f"the {concept} {', '.join(dict.fromkeys(rows))}" for concept, rows in names.items())
