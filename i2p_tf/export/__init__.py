"""From the networks of a run to what devices and servers load."""

VARIANTS = ("float32", "float16", "int8")  # of the TensorFlow Lite file
