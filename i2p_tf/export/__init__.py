"""From the networks of a run to what devices and servers load."""

VARIANTS = ("float32", "float16", "int8", "qat")  # of the TensorFlow Lite file
DEFAULT_VARIANTS = VARIANTS[:3]  # qat trains for some minutes, and needs the extra `quantize`
