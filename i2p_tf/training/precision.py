"""Which numbers a training computes with."""

import contextlib
import pathlib

import keras

# A processor with one of these multiplies bfloat16 matrices faster than float32 ones.
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}


def resolve(precision):
    """The dtype policy for a `--precision`; `auto` chooses what is fast on this machine."""
    if precision != "auto":
        return precision
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return "mixed_float16"
    return "mixed_bfloat16" if BFLOAT16_FLAGS & _processor_flags() else "float32"


@contextlib.contextmanager
def dtype_policy(name):
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
