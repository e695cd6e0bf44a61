"""A folder from which TF Serving is started with Docker Compose or on Kubernetes. Standard library only."""

import pathlib
import string
import textwrap
from collections.abc import Sequence

from i2p_tf.files import write_atomically
from i2p_tf.serving import tf_serving
from i2p_tf.serving.model_config import ModelConfig

COMPOSE_FILE, KUBERNETES_FILE = "docker-compose.yml", "kubernetes.yaml"
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

_KUBERNETES = string.Template(
    """\
# kubectl apply -f kubernetes.yaml: TF Serving on as many machines as the load needs.
# The claim i2p-exports holds the folders of bin/export and has to be made first; every machine reads it.
apiVersion: v1
kind: ConfigMap
metadata:
  name: i2p-serving
data:
$files
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: i2p-serving
spec:
  selector:
    matchLabels: {app: i2p-serving}
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels: {app: i2p-serving}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: serving
          image: $image
          args:
$arguments
          ports:
            - {name: grpc, containerPort: $grpc_port}
            - {name: rest, containerPort: $rest_port}
          # TF Serving opens its ports when every model is loaded and warmed up.
          readinessProbe:
            httpGet: {path: /v1/models/$first, port: rest}
            periodSeconds: 5
          livenessProbe:
            tcpSocket: {port: grpc}
            initialDelaySeconds: 60
            periodSeconds: 10
          lifecycle:
            preStop: {exec: {command: [sleep, "10"]}} # until no new request is sent here
          resources:
            requests: {cpu: "1", memory: 1Gi}
            limits: {memory: 2Gi}
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /config, readOnly: true}
$mounts
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: config
          configMap: {name: i2p-serving}
        - name: exports
          persistentVolumeClaim: {claimName: i2p-exports, readOnly: true}
        - name: tmp
          emptyDir: {}
---
apiVersion: v1
kind: Service
metadata:
  name: i2p-serving
spec:
  selector: {app: i2p-serving}
  ports:
    - {name: grpc, port: $grpc_port, targetPort: grpc}
    - {name: rest, port: $rest_port, targetPort: rest}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: i2p-serving
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: i2p-serving}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}
"""
)


def write(configs: Sequence[ModelConfig], folder: pathlib.Path) -> None:
    """Writes what TF Serving reads, docker-compose.yml and kubernetes.yaml.

    Args:
        configs: list of `ModelConfig`s, at least one.
        folder: made if it is missing; files of these names in it are replaced.
    """
    tf_serving.write_files(configs, folder, tf_serving.image_base_path)
    for name, text in ((COMPOSE_FILE, compose(configs)), (KUBERNETES_FILE, kubernetes(configs, folder))):
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
        arguments=_list(configs, indent=6),
        grpc_port=tf_serving.GRPC_PORT,
        rest_port=tf_serving.REST_PORT,
        volumes="\n".join(volumes),
        memory=_MEMORY,
        health_check=_quoted(_HEALTH_CHECK.format(name=configs[0].name)),
    )


def kubernetes(configs: Sequence[ModelConfig], folder: pathlib.Path) -> str:
    """The text of kubernetes.yaml, with the files of `tf_serving.write_files` from `folder` in it."""
    files = [
        f"  {name}: |\n{textwrap.indent((folder / name).read_text(), '    ')}".rstrip()
        for name in (tf_serving.MODELS_FILE, tf_serving.BATCHING_FILE, tf_serving.MONITORING_FILE)
    ]
    mounts = [
        f"            - {{name: exports, mountPath: {tf_serving.image_base_path(config)}, "
        f"subPath: {config.name}/{config.base_path.name}, readOnly: true}}"
        for config in configs
    ]
    return _KUBERNETES.substitute(
        image=tf_serving.IMAGE,
        files="\n".join(files),
        arguments=_list(configs, indent=12),
        grpc_port=tf_serving.GRPC_PORT,
        rest_port=tf_serving.REST_PORT,
        first=configs[0].name,
        mounts="\n".join(mounts),
    )


def _list(configs, indent):
    return "\n".join(f"{' ' * indent}- {argument}" for argument in tf_serving.arguments("/config", configs))


def _quoted(value):
    """A string of YAML. Compose would take a $ for a variable."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'
