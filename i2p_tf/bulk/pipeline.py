"""The pipeline: units of work -> parts of plain images -> protected ones -> files; beside them what went wrong."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from i2p_tf.bulk import inputs, parts
from i2p_tf.bulk.inputs import Unit
from i2p_tf.bulk.model_handler import TransformHandler
from i2p_tf.bulk.parts import Part
from i2p_tf.bulk.place import Place, Receipt
from i2p_tf.client import png

NAMESPACE = "i2p_tf"  # of the counters protected, kept and failed
_FAILURES = "failures"


@dataclasses.dataclass(frozen=True)
class Look:
    """What decides how pictures look.

    Attributes:
        size, rule: how they are made square, as for `pictures.decode_square`.
        bits: as for `i2p_tf.client.transform.load`.
    """

    size: int
    rule: str
    bits: int | None


def build(pipeline: beam.Pipeline, units: tuple[Unit, ...], base: str, place: Place, look: Look) -> None:
    """Adds all steps to a pipeline.

    Args:
        units, base: of the `inputs.Inputs`.
        place: claimed by the job.
        look: how the pictures are made.
    """
    read = (
        pipeline
        | "Units" >> beam.Create(units)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(_Read(base, place, look)).with_outputs(_FAILURES, main="plain")
    )
    written = (
        read.plain
        | "Protect" >> RunInference(KeyedModelHandler(TransformHandler(place.transform, look.bits)))
        | "Write" >> beam.ParDo(_Write(place))
    )
    failures = (read[_FAILURES], written) | "Failures" >> beam.Flatten()
    _ = (
        pipeline
        | "Once" >> beam.Create([place])
        | "Write failures" >> beam.Map(_write_failures, beam.pvalue.AsIter(failures))
    )


class _Read(beam.DoFn):
    """A unit -> its parts with their images, but those that are finished."""

    def __init__(self, base: str, place: Place, look: Look) -> None:
        self._base, self._place, self._look = base, place, look
        self._kept = Metrics.counter(NAMESPACE, "kept")

    def process(self, unit: Unit, *_: Any, **__: Any) -> Iterator:
        files = inputs.read(self._place.plan, unit)
        for name, items in parts.items(unit, files, self._base):
            if receipt := self._place.receipt(name):
                self._kept.inc(receipt.protected)
                yield from (beam.pvalue.TaggedOutput(_FAILURES, line) for line in _counted(receipt))
            else:
                yield parts.decode(name, items, self._look.size, self._look.rule)


class _Write(beam.DoFn):
    """A part and its protected images -> files; yields what could not be protected."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._protected = Metrics.counter(NAMESPACE, "protected")

    def process(self, element: tuple[Part, np.ndarray], *_: Any, **__: Any) -> Iterator[str]:
        part, protected = element
        receipt = self._place.write(part, [png.encode(image) for image in protected])
        self._protected.inc(receipt.protected)
        yield from _counted(receipt)


def _counted(receipt: Receipt) -> list[str]:
    """The failures, each as JSON: a name may have bytes that are no UTF-8, which Beam's own strings are."""
    Metrics.counter(NAMESPACE, "failed").inc(len(receipt.failures))
    return list(map(json.dumps, receipt.failures))


def _write_failures(place, lines):
    place.write_failures(list(map(json.loads, lines)))
