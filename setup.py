"""Metadata and dependencies.

constraints.txt has the exact versions, requirements.lock the hashes of the files that the launchers in bin/ install.

bin/_environment.py reads the two literals below as well, so each requirement has the form `name>=version`.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# What a client needs: it transforms images and sends them, so no TensorFlow.
INSTALL_REQUIRES = ["absl-py>=1.4", "ai-edge-litert>=2.0", "numpy>=2.0", "Pillow>=11.3", "urllib3>=2.3"]

EXTRAS_REQUIRE = {
    "train": [
        "importlib-resources>=6.4",  # tensorflow-datasets downloads with it and doesn't say so
        "Jinja2>=3.1.4",
        "keras>=3.13",
        "MarkupSafe>=2.1",
        "scikit-learn>=1.5",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.9",
    ],
    "serve": [
        "grpcio>=1.66",
        "httptools>=0.6.4",
        "protobuf>=6.31",
        "tensorflow>=2.21",
        "tensorflow-serving-api>=2.21",
        "uvicorn>=0.34",
    ],
    "grpc": ["grpcio>=1.66", "protobuf>=6.31"],  # of a client: it needs no TensorFlow
    "quantize": ["tensorflow-model-optimization>=0.8", "tf-keras>=2.21"],
    # scikit-image is the independent SSIM that ours is compared with; jax is the second Keras backend.
    "test": ["jax>=0.6", "pytest>=8.3", "pytest-xdist>=3.8", "PyYAML>=6.0", "ruff>=0.14", "scikit-image>=0.25"],
}
EXTRAS_REQUIRE["all"] = [requirement for extra in EXTRAS_REQUIRE.values() for requirement in extra]

COMMANDS = ["train", "evaluate", "attack", "report", "export", "protect", "serve", "classify", "demo"]

setup(
    name="i2p-tf",
    version=re.search(r'^__version__ = "(.+)"$', (ROOT / "i2p_tf/__init__.py").read_text(), re.MULTILINE)[1],
    description="Train, export and serve networks that protect images visually before they go to a cloud classifier.",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    author="The i2p_tf authors",
    license="Apache-2.0",
    packages=find_packages(include=["i2p_tf", "i2p_tf.*"]),
    package_data={"i2p_tf.report": ["*.html"]},
    python_requires=">=3.11",
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": [f"i2p-{name} = i2p_tf.cli.{name}:run" for name in COMMANDS]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
