"""What a signature takes, and whether tensors fit it by name, type and size, before there is memory for their values.

No TensorFlow: a process that only parses requests loads this too.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import numpy as np

from i2p_tf.serving.limits import MAX_BATCH_SIZE
from i2p_tf.serving.stand_in.errors import ServingError, invalid

DEFAULT_SIGNATURE = "serving_default"
Tensors = dict[str, np.ndarray]  # by the name of an input or output


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """What an input has to be.

    Attributes:
        dtype: name of a TensorFlow type, as `uint8` or `string`.
        shape: tuple of sides, None where any length will do; None for any shape.
    """

    dtype: str
    shape: tuple | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of a model.

    Attributes:
        name: of the signature.
        inputs: name -> `TensorSpec`.
    """

    name: str
    inputs: dict[str, TensorSpec]


def find(signatures: dict[str, Signature], name: str) -> Signature:
    """The `Signature` of that name, or the default one for an empty name; `ServingError` if there is none."""
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    return signatures[name]


def check_names(signature: Signature, sent: set[str]) -> None:
    """Refuses a set of names that are not those of the inputs."""
    wanted = set(signature.inputs)
    if sent != wanted:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{_listed(sent)}}}) != "
            f"len({{{_listed(wanted)}}}). Sent extra: {{{_listed(sent - wanted)}}}. "
            f"Missing but required: {{{_listed(wanted - sent)}}}."
        )


def check_tensor(name: str, spec: TensorSpec, dtype: Any, shape: Sequence[int]) -> None:
    """Refuses a tensor that an input doesn't take.

    Args:
        name: of the input.
        spec: its `TensorSpec`.
        dtype: name of the tensor's type.
        shape: tuple of its sides.
    """
    if dtype != spec.dtype:
        raise invalid(f"input {name} expects {spec.dtype} but {dtype} is provided")
    fits = spec.shape is None or (
        len(spec.shape) == len(shape)
        and all(wanted in (None, side) for wanted, side in zip(spec.shape, shape, strict=True))
    )
    if min(shape, default=0) < 0 or not fits:
        raise invalid(f"input {name} expects shape {spec.shape} but {shape} is provided")


def count_examples(shapes: Iterable[Sequence[int]]) -> int:
    """The length of the batch that tensors of these shapes make; `ServingError` if it is none or too long."""
    counts = {shape[:1] for shape in shapes}
    if len(counts) != 1 or counts == {()}:
        raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    ((count,),) = counts
    if count > MAX_BATCH_SIZE:
        raise invalid(f"Task size {count} is larger than maximum input batch size {MAX_BATCH_SIZE}")
    return count


def _listed(names):
    return ",".join(sorted(names))
