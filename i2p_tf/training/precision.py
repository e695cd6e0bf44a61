"""Which numbers a training computes with."""

import contextlib
import pathlib
from collections.abc import Iterator

import keras

from i2p_tf.errors import InputError

# A processor with one of these multiplies bfloat16 matrices faster than float32 ones.
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}


def resolve(precision: str) -> str:
    """The dtype policy for a `--precision`; `auto` chooses what is fast on this machine.

    Raises:
        InputError: if this machine can't compute with the one that is asked for.
    """
    import tensorflow as tf

    if precision == "mixed_bfloat16" and not computes_bfloat16():
        raise InputError(
            "--precision=mixed_bfloat16 can't be computed here: oneDNN is held below what TensorFlow expects of this "
            "processor; unset ONEDNN_MAX_CPU_ISA or take --precision=float32"
        )
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("GPU"):
        return "mixed_float16"
    gains = BFLOAT16_FLAGS & _processor_flags() and computes_bfloat16()
    return "mixed_bfloat16" if gains else "float32"


def computes_bfloat16() -> bool:
    """Whether TensorFlow can convolve bfloat16 here: it asks the processor, and oneDNN may be limited to less."""
    import tensorflow as tf

    try:
        tf.nn.conv2d(tf.ones((1, 1, 1, 1), tf.bfloat16), tf.ones((1, 1, 1, 1), tf.bfloat16), 1, "SAME")
    except tf.errors.OpError:
        return False
    return True


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside have this policy; the global one is as before afterwards."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def _processor_flags():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
