"""kubernetes.yaml has the fields of the API, of its types, and its parts name each other rightly."""

import hashlib

import pytest
import yaml

from i2p_tf.errors import InputError
from i2p_tf.serving import kubernetes, model_config, tf_serving
from i2p_tf.serving.kubernetes import Target

LABELS = {"*": str}
SELECTOR = {"matchLabels": LABELS}
CONTAINER = {
    "name": str,
    "image": str,
    "args": [str],
    "ports": [{"name": str, "containerPort": int}],
    "readinessProbe": {"httpGet": {"path": str, "port": str}, "periodSeconds": int},
    "livenessProbe": {"tcpSocket": {"port": str}, "initialDelaySeconds": int, "periodSeconds": int},
    "lifecycle": {"preStop": {"exec": {"command": [str]}}},
    "resources": {"requests": {"cpu": str, "memory": str}, "limits": {"memory": str, "nvidia.com/gpu": int}},
    "securityContext": {
        "readOnlyRootFilesystem": bool,
        "allowPrivilegeEscalation": bool,
        "capabilities": {"drop": [str]},
    },
    "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "readOnly": bool}],
}
POD = {
    "automountServiceAccountToken": bool,
    "serviceAccountName": str,
    "securityContext": {
        "runAsNonRoot": bool,
        "runAsUser": int,
        "runAsGroup": int,
        "seccompProfile": {"type": str},
    },
    "tolerations": [{"key": str, "operator": str}],
    "containers": [CONTAINER],
    "volumes": [
        {
            "name": str,
            "configMap": {"name": str},
            "persistentVolumeClaim": {"claimName": str, "readOnly": bool},
            "emptyDir": {},
        }
    ],
}
# From the reference of the API of Kubernetes 1.31, as far as it is used: any other field is a mistake.
SPECS = {
    ("v1", "ConfigMap"): None,
    ("apps/v1", "Deployment"): {
        "selector": SELECTOR,
        "strategy": {"rollingUpdate": {"maxUnavailable": int, "maxSurge": int}},
        "template": {"metadata": {"labels": LABELS, "annotations": LABELS}, "spec": POD},
    },
    ("v1", "Service"): {"selector": LABELS, "ports": [{"name": str, "port": int, "targetPort": str}]},
    ("autoscaling/v2", "HorizontalPodAutoscaler"): {
        "scaleTargetRef": {"apiVersion": str, "kind": str, "name": str},
        "minReplicas": int,
        "maxReplicas": int,
        "metrics": [
            {"type": str, "resource": {"name": str, "target": {"type": str, "averageUtilization": int}}},
        ],
    },
    ("policy/v1", "PodDisruptionBudget"): {"minAvailable": int, "selector": SELECTOR},
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "podSelector": SELECTOR,
        "policyTypes": [str],
        "ingress": [{"from": [{"podSelector": SELECTOR}], "ports": [{"protocol": str, "port": str}]}],
        "egress": [{"ports": [{"protocol": str, "port": int}], "to": [{"ipBlock": {"cidr": str}}]}],
    },
}


def check(value, schema, path):
    if isinstance(schema, dict):
        assert isinstance(value, dict), path
        for key, each in value.items():
            assert key in schema or "*" in schema, f"{path}.{key}"
            check(each, schema.get(key, schema.get("*")), f"{path}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), path
        for index, each in enumerate(value):
            check(each, schema[0], f"{path}[{index}]")
    else:
        assert type(value) is schema, path


def make_configs(folder):
    for name in ("a", "b"):
        (folder / name / "classifier" / "1").mkdir(parents=True)
        (folder / name / "manifest.json").write_text("{}")
    return model_config.from_exports([folder / "a", folder / "b"])


def documents(configs, target):
    return {each["kind"]: each for each in yaml.safe_load_all(kubernetes.manifest(configs, target))}


@pytest.mark.parametrize("target", [Target(8), Target(3, gpu=True), Target(1, store="gs://bucket/exports")])
def test_fields_and_references(tmp_path, target):
    found = documents(make_configs(tmp_path), target)
    assert {(each["apiVersion"], kind) for kind, each in found.items()} == set(SPECS)
    for kind, each in found.items():
        assert each["metadata"] == {"name": "i2p-serving"}
        if spec := SPECS[each["apiVersion"], kind]:
            assert set(each) == {"apiVersion", "kind", "metadata", "spec"}
            check(each["spec"], spec, kind)

    workload = found["Deployment"]["spec"]
    pod, labels = workload["template"]["spec"], workload["template"]["metadata"]["labels"]
    for selected in (workload["selector"], found["PodDisruptionBudget"]["spec"]["selector"]):
        assert selected["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    policy = found["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels and policy["policyTypes"] == ["Ingress", "Egress"]
    (container,) = pod["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} == ports
    assert {port["port"] for port in policy["ingress"][0]["ports"]} == ports
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "i2p-serving"
    assert f"num_batch_threads {{ value: {target.cores} }}" in found["ConfigMap"]["data"]["batching_parameters.txt"]
    assert container["resources"]["requests"]["cpu"] == str(target.cores)


def test_models_lie_in_a_volume(tmp_path):
    found = documents(make_configs(tmp_path), Target(2))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount.get("subPath") for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["/models/b"] == "b/classifier" and set(mounts) == {"/config", "/models/a", "/models/b", "/tmp"}
    assert 'base_path: "/models/a"' in found["ConfigMap"]["data"]["models.config"]
    assert found["NetworkPolicy"]["spec"]["egress"] == []


def test_models_lie_in_a_store(tmp_path):
    found = documents(make_configs(tmp_path), Target(2, store="gs://bucket/exports/"))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {"/config", "/tmp"}
    assert 'base_path: "gs://bucket/exports/b/classifier"' in found["ConfigMap"]["data"]["models.config"]
    assert pod["serviceAccountName"] == "i2p-serving" and found["NetworkPolicy"]["spec"]["egress"]


def test_a_gpu(tmp_path):
    (container,) = documents(make_configs(tmp_path), Target(2, gpu=True))["Deployment"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == f"{tf_serving.IMAGE}-gpu"
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}


def test_another_configuration_rolls_the_pods(tmp_path):
    def annotation(found):
        return found["Deployment"]["spec"]["template"]["metadata"]["annotations"]["i2p-tf/config-sha256"]

    configs = make_configs(tmp_path)
    found = documents(configs, Target(2))
    data = "".join(found["ConfigMap"]["data"].values())
    assert annotation(found) == hashlib.sha256(data.encode()).hexdigest()
    assert len({annotation(documents(*each)) for each in ((configs, Target(3)), (configs[:1], Target(2)))}) == 2


@pytest.mark.parametrize("store", ["s3://bucket/x", "/exports", "gs://", "gs://b\n# x"])
def test_stores_that_tf_serving_does_not_read(store):
    with pytest.raises(InputError, match="--store is an address that TF Serving reads itself: gs://"):
        Target(1, store=store)


def test_flags_of_bin_serve(tmp_path, run_command):
    make_configs(tmp_path / "exports")
    export, output = tmp_path / "exports" / "a", tmp_path / "deployment"
    code, *_ = run_command("serve", f"--export={export}", f"--output={output}", "--cores=6", "--store=gs://b/x")
    assert code == 0 and "value: 6" in (output / "batching_parameters.txt").read_text()
    assert "gs://b/x/a/classifier" in (output / "kubernetes.yaml").read_text()
    assert 'base_path: "/models/a"' in (output / "models.config").read_text()  # of Docker Compose
    for flags, message in (
        ([f"--output={output}", "--cores=0"], "--cores must be at least 1. Received: 0"),
        (["--gpu"], "--gpu is for other machines, and belongs to --output"),
    ):
        code, _, stderr = run_command("serve", f"--export={export}", *flags)
        assert code == 2 and message in stderr
