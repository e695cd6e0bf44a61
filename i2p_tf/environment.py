"""Where a result was made: versions, processor, GPU, commit."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

import i2p_tf
from i2p_tf.hints import Values

PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-datasets", "scikit-learn", "pillow")


def describe_environment() -> Values:
    """A dictionary for environment.json. TensorFlow must be installed."""
    import tensorflow as tf

    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return {
        "i2p_tf": i2p_tf.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": [gpu.get("device_name", "GPU") for gpu in gpus],
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
    }


def processor() -> str:
    """The name that the processor gives itself."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str | None:
    """The commit of the checkout, `-dirty` where it differs; None outside a checkout."""
    folder = pathlib.Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
