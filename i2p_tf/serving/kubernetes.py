"""kubernetes.yaml: TF Serving on as many machines as the load needs. Standard library only."""

import dataclasses
import hashlib
import pathlib
import re
import string
import textwrap
from collections.abc import Sequence

from i2p_tf.errors import InputError
from i2p_tf.serving import tf_serving
from i2p_tf.serving.model_config import CLASSIFIER, ModelConfig

FILE = "kubernetes.yaml"
STORES = ("gs://",)  # that TF Serving reads itself

_MANIFEST = string.Template(
    """\
# kubectl apply -f kubernetes.yaml: TF Serving on as many machines as the load needs.
$storage
# Who may ask carries the label `i2p-serving-client: "true"`: the proxy in front, and what reads the metrics.
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
      annotations:
        i2p-tf/config-sha256: "$checksum" # other files: new pods, one after the other
    spec:
      automountServiceAccountToken: false
$account      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        seccompProfile: {type: RuntimeDefault}
$tolerations      containers:
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
            requests: {cpu: "$cores", memory: $memory}
            limits: {memory: $memory$gpu}
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /config, readOnly: true}
$mounts            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: config
          configMap: {name: i2p-serving}
$volumes        - name: tmp
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
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: i2p-serving
spec:
  minAvailable: 1
  selector:
    matchLabels: {app: i2p-serving}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: i2p-serving
spec:
  podSelector:
    matchLabels: {app: i2p-serving}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {i2p-serving-client: "true"}
      ports:
        - {protocol: TCP, port: grpc}
        - {protocol: TCP, port: rest}
  egress:$egress
"""
)

_CLAIM = """\
# The claim i2p-exports holds the folders of bin/export and has to be made first; every machine reads it."""
_STORE = """\
# The service account i2p-serving has to be made first, and may read {store}, which holds the folders of bin/export."""

_VOLUME = """\
        - name: exports
          persistentVolumeClaim: {claimName: i2p-exports, readOnly: true}
"""

# Names, and the store; the third are the addresses from which clouds hand out a pod's credentials.
_STORE_EGRESS = """
    - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}, {protocol: TCP, port: 443}]
    - to: [{ipBlock: {cidr: 169.254.0.0/16}}]"""


@dataclasses.dataclass(frozen=True)
class Target:
    """The machines that a configuration is for.

    Attributes:
        cores: that a server gets, and so the batches that it computes at the same time.
        gpu: whether it gets one.
        store: address of the folder that holds the exports, of one of `STORES`; None for a volume claim.

    Raises:
        InputError: if a value is none of these.
    """

    cores: int
    gpu: bool = False
    store: str | None = None

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise InputError(f"--cores must be at least 1. Received: {self.cores}")
        if self.store is not None and not re.fullmatch(f"({'|'.join(STORES)})[\\w./-]+", self.store, re.ASCII):
            raise InputError(
                f"--store is an address that TF Serving reads itself: {', '.join(STORES)}; others are mounted as the "
                f"claim i2p-exports. Received: {self.store}"
            )

    def base_path(self, config: ModelConfig) -> str:
        """Where a server finds the versions of a model."""
        if self.store is None:
            return tf_serving.image_base_path(config)
        return f"{self.store.rstrip('/')}/{config.name}/{CLASSIFIER}"


def manifest(configs: Sequence[ModelConfig], target: Target) -> str:
    """The text of kubernetes.yaml."""
    contents = tf_serving.contents(configs, target.base_path, target.cores)
    claimed = target.store is None
    return _MANIFEST.substitute(
        storage=_CLAIM if claimed else _STORE.format(store=target.store),
        files="\n".join(f"  {name}: |\n{textwrap.indent(text, '    ')}".rstrip() for name, text in contents.items()),
        checksum=hashlib.sha256("".join(contents.values()).encode()).hexdigest(),
        account="" if claimed else "      serviceAccountName: i2p-serving\n",
        tolerations="      tolerations: [{key: nvidia.com/gpu, operator: Exists}]\n" if target.gpu else "",
        image=f"{tf_serving.IMAGE}-gpu" if target.gpu else tf_serving.IMAGE,
        arguments="\n".join(f"            - {argument}" for argument in tf_serving.arguments("/config", configs)),
        grpc_port=tf_serving.GRPC_PORT,
        rest_port=tf_serving.REST_PORT,
        first=configs[0].name,
        cores=target.cores,
        memory="8Gi" if target.gpu else "2Gi",
        gpu=", nvidia.com/gpu: 1" if target.gpu else "",
        mounts="".join(map(_mount, configs)) if claimed else "",
        volumes=_VOLUME if claimed else "",
        egress=" []" if claimed else _STORE_EGRESS,
    )


def _mount(config):
    return (
        f"            - {{name: exports, mountPath: {tf_serving.image_base_path(config)}, "
        f"subPath: {config.name}/{pathlib.PurePath(config.base_path).name}, readOnly: true}}\n"
    )
