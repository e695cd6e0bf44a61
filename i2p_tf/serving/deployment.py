"""A folder from which TF Serving is started with Docker Compose or on Kubernetes. Standard library only."""

import pathlib
import string
from collections.abc import Sequence

from i2p_tf.files import write_atomically
from i2p_tf.serving import kubernetes, tf_serving
from i2p_tf.serving.kubernetes import Target
from i2p_tf.serving.model_config import ModelConfig

COMPOSE_FILE = "docker-compose.yml"
_MEMORY = "2g"

# The image has neither curl nor wget, but bash, which opens sockets itself.
_HEALTH_CHECK = (
    f"exec 3<>/dev/tcp/127.0.0.1/{tf_serving.REST_PORT} && "
    r"printf 'GET /v1/models/{name} HTTP/1.0\r\n\r\n' >&3 && grep -q AVAILABLE <&3"
)

_COMPOSE = string.Template(
    """\
# docker compose up: TF Serving on this machine. Put a proxy with TLS in front before anybody else can reach it.
services:
  serving:
    image: $image
    command:
$arguments
    ports:
      - "127.0.0.1:$grpc_port:$grpc_port"
      - "127.0.0.1:$rest_port:$rest_port"
    volumes:
      - {type: bind, source: ., target: /config, read_only: true}
$volumes
    user: "65534:65534"
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: $memory
    init: true
    restart: unless-stopped
    healthcheck:
      test: ["CMD", "bash", "-c", $health_check]
      interval: 10s
      timeout: 5s
      start_period: 60s
      retries: 3
"""
)


def write(configs: Sequence[ModelConfig], folder: pathlib.Path, target: Target) -> None:
    """Writes what TF Serving reads, docker-compose.yml and kubernetes.yaml.

    Args:
        configs: list of `ModelConfig`s, at least one.
        folder: made if it is missing; files of these names in it are replaced.
        target: the machines that it is for.
    """
    tf_serving.write_files(configs, folder, tf_serving.image_base_path, target.cores)
    for name, text in ((COMPOSE_FILE, compose(configs)), (kubernetes.FILE, kubernetes.manifest(configs, target))):
        with write_atomically(folder / name) as temporary:
            temporary.write_text(text)


def compose(configs: Sequence[ModelConfig]) -> str:
    """The text of docker-compose.yml, for a folder that also holds the files of `tf_serving.write_files`."""
    volumes = [
        f"      - {{type: bind, source: {_quoted(config.base_path)}, target: {tf_serving.image_base_path(config)}, "
        "read_only: true}"
        for config in configs
    ]
    return _COMPOSE.substitute(
        image=tf_serving.IMAGE,
        arguments=_arguments(configs),
        grpc_port=tf_serving.GRPC_PORT,
        rest_port=tf_serving.REST_PORT,
        volumes="\n".join(volumes),
        memory=_MEMORY,
        health_check=_quoted(_HEALTH_CHECK.format(name=configs[0].name)),
    )


def _arguments(configs):
    return "\n".join(f"      - {argument}" for argument in tf_serving.arguments("/config", configs))


def _quoted(value):
    """A string of YAML. Compose would take a $ for a variable."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'
