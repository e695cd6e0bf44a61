"""TF Serving itself: the files that it reads, and the command lines that start it. Standard library only."""

import os
import pathlib
from collections.abc import Callable, Sequence

from i2p_tf.files import write_atomically
from i2p_tf.serving.limits import MAX_BATCH_SIZE, MAX_BATCHES
from i2p_tf.serving.model_config import ModelConfig

PROGRAM = "tensorflow_model_server"
IMAGE = "tensorflow/serving:2.21.0"  # of the release of tensorflow-serving-api in constraints.txt
GRPC_PORT, REST_PORT = 8500, 8501  # the image's
ALLOW_ALL_ORIGINS = "--rest_api_enable_cors_support=true"
MODELS_FILE, BATCHING_FILE, MONITORING_FILE = "models.config", "batching_parameters.txt", "monitoring_config.txt"

ALLOWED_BATCH_SIZES = [1 << power for power in range(MAX_BATCH_SIZE.bit_length())]  # the last is the largest batch
BATCHING = f"""\
# Requests that arrive within a millisecond are computed together.
max_batch_size {{ value: {MAX_BATCH_SIZE} }}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: {MAX_BATCHES} }}
num_batch_threads {{ value: %d }}
# A batch is filled up to one of these, so that memory is planned for few shapes.
{"".join(f"allowed_batch_sizes: {size}" + chr(10) for size in ALLOWED_BATCH_SIZES)}"""

MONITORING = """\
# Prometheus reads this path of the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def models_config(configs: Sequence[ModelConfig], base_path: Callable[[ModelConfig], str] | None = None) -> str:
    """The text of models.config, a `ModelServerConfig`.

    Args:
        configs: list of `ModelConfig`s.
        base_path: takes one of them and returns the path of its versions as the server sees it; that on this machine
            if None.
    """
    return "model_config_list {\n" + "".join(_model(config, base_path) for config in configs) + "}\n"


def contents(
    configs: Sequence[ModelConfig],
    base_path: Callable[[ModelConfig], str] | None = None,
    cores: int | None = None,
) -> dict[str, str]:
    """The texts of models.config, batching_parameters.txt and monitoring_config.txt by these names.

    Args:
        configs, base_path: as for `models_config`.
        cores: of the machine that serves; of this one if None.
    """
    return {
        MODELS_FILE: models_config(configs, base_path),
        BATCHING_FILE: BATCHING % (cores or os.cpu_count() or 1),
        MONITORING_FILE: MONITORING,
    }


def write_files(
    configs: Sequence[ModelConfig],
    folder: str | os.PathLike,
    base_path: Callable[[ModelConfig], str] | None = None,
    cores: int | None = None,
) -> None:
    """Writes the files of `contents` into a folder."""
    for name, content in contents(configs, base_path, cores).items():
        with write_atomically(pathlib.Path(folder) / name) as temporary:
            temporary.write_text(content)


def arguments(folder: str | os.PathLike, configs: Sequence[ModelConfig]) -> list[str]:
    """Arguments of tensorflow_model_server that make it read the files in `folder`, but for the ports."""
    folder = pathlib.PurePosixPath(folder)
    flags = [
        f"--model_config_file={folder / MODELS_FILE}",
        "--enable_batching=true",
        f"--batching_parameters_file={folder / BATCHING_FILE}",
        f"--monitoring_config_file={folder / MONITORING_FILE}",
    ]
    if any(config.labels for config in configs):
        flags.append("--allow_version_labels_for_unavailable_models=true")  # at the start none is available yet
    return flags


def command(folder: str | os.PathLike, configs: Sequence[ModelConfig], grpc_port: int, rest_port: int) -> list[str]:
    """The command that starts tensorflow_model_server on this machine. It listens on all interfaces."""
    return [PROGRAM, f"--port={grpc_port}", f"--rest_api_port={rest_port}", *arguments(folder, configs)]


def docker_command(
    folder: str | os.PathLike, configs: Sequence[ModelConfig], host: str, grpc_port: int, rest_port: int
) -> list[str]:
    """The command that starts the official image: read-only, not as root, reachable at `host`."""
    address = f"[{host}]" if ":" in host else host
    mounts = [(folder, "/config")] + [(config.base_path, image_base_path(config)) for config in configs]
    return [
        *("docker", "run", "--rm", "--init", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", f"--user={os.getuid() or 65534}:{os.getgid() or 65534}", "--memory=2g"),
        f"--publish={address}:{grpc_port}:{GRPC_PORT}",
        f"--publish={address}:{rest_port}:{REST_PORT}",
        *(f"--mount=type=bind,source={source},target={target},readonly" for source, target in mounts),
        IMAGE,
        *arguments("/config", configs),
    ]


def image_base_path(config: ModelConfig) -> str:
    """Where the versions of a model lie in a container."""
    return f"/models/{config.name}"


def _model(config, base_path):
    path = base_path(config) if base_path else config.base_path
    lines = [
        "  config {",
        f"    name: {_quoted(config.name)}",
        f"    base_path: {_quoted(path)}",
        '    model_platform: "tensorflow"',
    ]
    if config.labels:
        served = " ".join(f"versions: {version}" for version in sorted(set(config.labels.values())))
        lines.append(f"    model_version_policy {{ specific {{ {served} }} }}")
        lines += [
            f"    version_labels {{ key: {_quoted(label)} value: {version} }}"
            for label, version in config.labels.items()
        ]
    return "\n".join([*lines, "  }", ""])


def _quoted(value):
    """A string of a text proto: a byte outside printable ASCII is written in octal."""
    characters = [
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in os.fsencode(str(value))
    ]
    return f'"{"".join(characters)}"'
