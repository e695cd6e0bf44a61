"""What TF Serving reads, and how it is started."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from i2p_tf.errors import InputError
from i2p_tf.serving import deployment, model_config, ports, tf_serving
from i2p_tf.serving.kubernetes import Target

SERVE = [sys.executable, "-m", "i2p_tf.cli.serve"]


def make_export(path, versions=(1,)):
    for version in versions:
        (path / "classifier" / str(version)).mkdir(parents=True)
    path.mkdir(exist_ok=True)
    (path / "manifest.json").write_text("{}")
    return path


def parse_models_config(text):
    from tensorflow_serving.config import model_server_config_pb2

    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config


def test_the_newest_version_of_several_exports(tmp_path):
    paths = [make_export(tmp_path / name) for name in ("a", "b")]
    first, second = parse_models_config(tf_serving.models_config(model_config.from_exports(paths)))
    assert (first.name, first.base_path) == ("a", str(tmp_path / "a" / "classifier"))
    assert (second.name, second.model_platform) == ("b", "tensorflow")
    assert not first.HasField("model_version_policy") and not first.version_labels


def test_labelled_versions(tmp_path):
    export = make_export(tmp_path / "a", (1, 2, 10))
    configs = model_config.from_exports([export], stable=2, canary=10)
    (config,) = parse_models_config(tf_serving.models_config(configs))
    assert list(config.model_version_policy.specific.versions) == [2, 10]
    assert dict(config.version_labels) == {"stable": 2, "canary": 10}
    assert "--allow_version_labels_for_unavailable_models=true" in tf_serving.arguments("/config", configs)


def test_odd_paths_are_quoted(tmp_path):
    folder = tmp_path / 'a "b"\\ü\n'
    (config,) = parse_models_config(tf_serving.models_config(model_config.from_exports([make_export(folder / "n")])))
    assert config.base_path == str(folder / "n" / "classifier")


def test_exports_that_cannot_be_served(tmp_path):
    good = make_export(tmp_path / "good", (1, 2))
    (tmp_path / "empty").mkdir()
    later = make_export(tmp_path / "later")
    (later / "manifest.json").write_text('{"schema": 2}')
    for paths, labels, message in [
        ([tmp_path / "nowhere"], {}, "no folder that bin/export has written"),
        ([tmp_path / "empty"], {}, "no manifest.json"),
        ([later], {}, "later/manifest.json has format 2; this version of i2p_tf reads format 1"),
        ([make_export(tmp_path / "tflite_only", ())], {}, "bin/export --savedmodel"),
        ([make_export(tmp_path / "a b")], {}, "Received: 'a b'"),
        ([good], {"stable": 3}, "--stable=3: .* allowed: 1, 2"),
        ([good, make_export(tmp_path / "other")], {"canary": 1}, "for one export"),
        ([good, make_export(tmp_path / "sub" / "good")], {}, "two exports are named good"),
    ]:
        with pytest.raises(InputError, match=message):
            model_config.from_exports(paths, **labels)


def test_answers_are_sent_without_a_delay():
    """Accepted connections inherit the protocol, by which asyncio decides."""
    with ports.bind("127.0.0.1", 0, "--rest_port") as bound:
        bound.listen()

        async def accept():
            options = asyncio.get_running_loop().create_future()

            def on_connect(reader, writer):
                connection = writer.get_extra_info("socket")
                options.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                writer.close()

            async with await asyncio.start_server(on_connect, sock=bound):
                with socket.create_connection(bound.getsockname()):
                    return await options

        assert asyncio.run(accept())


def test_only_numbers_are_versions(tmp_path):
    export = make_export(tmp_path / "a", (9, 10))
    for name in (".unfinished-3", "01", "x", "-1"):
        (export / "classifier" / name).mkdir()
    (export / "classifier" / "11").write_text("a file")
    assert model_config.versions(export / "classifier") == [9, 10]
    assert model_config.versions(export / "nowhere") == []


def message_class(name, fields, package="test"):
    """A message with the fields that TF Serving's sources give, which tensorflow-serving-api leaves out."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=package, syntax="proto3")
    value = file.message_type.add(name="Int64Value")
    value.field.add(name="value", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=kinds.TYPE_BOOL, label=kinds.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        if kind is None:  # whole numbers
            entry.field.add(name=field, number=number, type=kinds.TYPE_INT64, label=kinds.LABEL_REPEATED)
            continue
        entry.field.add(
            name=field,
            number=number,
            type=kinds.TYPE_MESSAGE,
            type_name=f".{package}.{kind}",
            label=kinds.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)[f"{package}.{name}"]


def test_batching_and_monitoring(tmp_path):
    tf_serving.write_files(model_config.from_exports([make_export(tmp_path / "a")]), tmp_path / "config")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    fields: dict = {name: (n, "Int64Value") for n, name in enumerate(names, start=1)}
    batching = message_class("BatchingParameters", fields | {"allowed_batch_sizes": (6, None)})
    text = (tmp_path / "config" / "batching_parameters.txt").read_text()
    parsed = text_format.Parse(text, batching())
    assert list(parsed.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32, 64]
    assert (parsed.max_batch_size.value, parsed.max_enqueued_batches.value) == (64, 64)
    assert parsed.num_batch_threads.value == os.cpu_count()
    monitoring = message_class("MonitoringConfig", {"prometheus_config": (1, "PrometheusConfig")})
    text = (tmp_path / "config" / "monitoring_config.txt").read_text()
    parsed = text_format.Parse(text, monitoring()).prometheus_config
    assert parsed.enable and parsed.path == "/monitoring/prometheus/metrics"


def test_the_image_is_of_the_pinned_release():
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text().split()
    assert f"tensorflow-serving-api=={tf_serving.IMAGE.partition(':')[2]}" in pins


def test_compose(tmp_path):
    configs = model_config.from_exports([make_export(tmp_path / "it's $5" / "a"), make_export(tmp_path / "b")])
    deployment.write(configs, tmp_path / "deployment", Target(cores=4))
    service = yaml.safe_load((tmp_path / "deployment" / "docker-compose.yml").read_text())["services"]["serving"]
    assert service["image"] == tf_serving.IMAGE and service["read_only"] and service["user"] == "65534:65534"
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"] and service["mem_limit"] == "2g"
    assert service["command"] == tf_serving.arguments("/config", configs)
    sources = {volume["target"]: volume["source"] for volume in service["volumes"]}
    assert sources["/models/a"] == str(configs[0].base_path).replace("$", "$$")  # Compose takes $ for a variable
    assert all(volume["read_only"] for volume in service["volumes"])


def write_program(folder, name):
    """A program that writes its arguments and the files of its configuration beside itself, and waits for a signal."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, re, signal, sys, time\n"
        "here = pathlib.Path(sys.argv[0]).parent\n"
        "signal.signal(signal.SIGTERM, lambda *_: ((here / 'stopped').touch(), sys.exit(0)))\n"
        "match = re.search('=([^ ]*/models.config)', ' '.join(sys.argv))\n"
        "path = pathlib.Path(match[1])\n"
        "mounted = re.search('source=([^,]*),target=/config', ' '.join(sys.argv))\n"
        "path = pathlib.Path(mounted[1]) / path.name if mounted else path\n"
        "(here / 'config').write_text(path.read_text())\n"
        "(here / 'unfinished').write_text('\\n'.join(sys.argv[1:]))\n"
        "(here / 'unfinished').rename(here / 'arguments')\n"
        "time.sleep(60)\n"
    )
    program.chmod(0o755)
    return folder


def run_serve(tmp_path, *arguments):
    """Starts bin/serve, waits for the program it starts, stops it; the arguments and the configuration it saw."""
    environment = os.environ | {"PATH": f"{tmp_path / 'programs'}:/usr/bin:/bin"}
    process = subprocess.Popen([*SERVE, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "programs" / "arguments").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM and (tmp_path / "programs" / "stopped").exists()
    return (
        (tmp_path / "programs" / "arguments").read_text().split("\n"),
        (tmp_path / "programs" / "config").read_text(),
        stderr,
    )


def test_a_folder_is_written_and_nothing_served(run_command, tmp_path):
    exports = ",".join(str(make_export(tmp_path / name)) for name in "ab")
    code, stdout, stderr = run_command("serve", f"--export={exports}", f"--output={tmp_path / 'deployment'}")
    assert (code, stdout, stderr) == (0, f"configuration: {tmp_path / 'deployment'}\n", "")
    assert {path.name for path in (tmp_path / "deployment").iterdir()} == {
        *("models.config", "batching_parameters.txt", "monitoring_config.txt"),
        *("docker-compose.yml", "kubernetes.yaml"),
    }


def test_tensorflow_model_server_is_started_if_it_is_there(tmp_path):
    write_program(tmp_path / "programs", "tensorflow_model_server")
    export = make_export(tmp_path / "a")
    arguments, config, stderr = run_serve(
        tmp_path, f"--export={export}", "--rest_port=0", "--grpc_port=18533", "--allow_origin=*"
    )
    assert "--port=18533" in arguments and any(a.startswith("--rest_api_port=") for a in arguments)
    assert {"--enable_batching=true", "--rest_api_enable_cors_support=true"} < set(arguments)
    (model,) = parse_models_config(config)
    assert model.base_path == str(export / "classifier")
    assert "listens on all addresses" in stderr
    folder = next(a for a in arguments if a.startswith("--model_config_file=")).partition("=")[2]
    assert not Path(folder).exists()  # the configuration went with the server

    command = [*SERVE, f"--export={export}", "--allow_origin=https://example.org"]
    environment = os.environ | {"PATH": f"{tmp_path / 'programs'}:/usr/bin:/bin"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2 and "allows all origins or none: --allow_origin=*" in result.stderr


def test_docker_is_started_if_asked_for(tmp_path):
    write_program(tmp_path / "programs", "docker")
    export = make_export(tmp_path / "a")
    arguments, config, _ = run_serve(
        tmp_path, f"--export={export}", "--docker", "--rest_port=18544", "--grpc_port=18545"
    )
    assert arguments[:2] == ["run", "--rm"] and "--read-only" in arguments
    assert "--publish=127.0.0.1:18545:8500" in arguments and "--publish=127.0.0.1:18544:8501" in arguments
    assert f"--mount=type=bind,source={export / 'classifier'},target=/models/a,readonly" in arguments
    assert not any(a.startswith(("--user=0", "--privileged")) for a in arguments)
    image = arguments.index(tf_serving.IMAGE)
    assert arguments[image + 1] == "--model_config_file=/config/models.config"
    (model,) = parse_models_config(config)
    assert model.base_path == "/models/a"


def test_a_server_that_ends_is_a_failure(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "tensorflow_model_server").write_text("#!/bin/sh\nexit 3\n")
    (folder / "tensorflow_model_server").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:/usr/bin:/bin"}
    command = [*SERVE, f"--export={make_export(tmp_path / 'a')}", "--rest_port=0", "--grpc_port=0"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "tensorflow_model_server has ended with exit code 3" in result.stderr


def test_the_health_check_of_compose(tmp_path):
    """Its shell command against a socket that answers as TF Serving does."""
    import http.server
    import threading

    assert shutil.which("bash")
    configs = model_config.from_exports([make_export(tmp_path / "a")])
    command = yaml.safe_load(deployment.compose(configs))["services"]["serving"]["healthcheck"]["test"]
    states = {"/v1/models/a": "AVAILABLE"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(states.get(self.path, "END").encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        script = command[3].replace("8501", str(server.server_port)).replace("$$", "$")
        assert command[:3] == ["CMD", "bash", "-c"]
        assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 0
        states["/v1/models/a"] = "LOADING"
        assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 1
        server.shutdown()
    assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 1
