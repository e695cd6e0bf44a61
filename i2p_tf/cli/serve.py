"""Serves the classifier of an export: by TF Serving, or where that is not installed by a stand-in for one machine.

  bin/serve --export=exports/NAME
  bin/serve --export=exports/NAME --docker
  bin/serve --export=exports/A,exports/B
  bin/serve --export=exports/NAME --stable=1 --canary=2
  bin/serve --export=exports/NAME --web
  bin/serve --export=exports/NAME --output=deployment --cores=8

tensorflow_model_server is started if it is on PATH, TF Serving's Docker image with --docker. All speak the same REST
and gRPC. docs/deployment.md has the rest.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import NoReturn

from absl import flags

from i2p_tf.cli import aliases, app, stderr
from i2p_tf.errors import InputError
from i2p_tf.serving import deployment, integrity, model_config, ports, tf_serving
from i2p_tf.serving.errors import NotServing
from i2p_tf.serving.kubernetes import Target
from i2p_tf.serving.stand_in import cors, web_page

FLAGS = flags.FlagValues()
flags.DEFINE_list(
    "export", None, "folder that bin/export has written, or several with commas; required", flag_values=FLAGS
)
flags.DEFINE_string("host", "127.0.0.1", "address to listen on; 0.0.0.0 for all", flag_values=FLAGS)
flags.DEFINE_integer("rest_port", tf_serving.REST_PORT, "port for REST; 0 for a free one", 0, 65535, flag_values=FLAGS)
flags.DEFINE_integer("grpc_port", tf_serving.GRPC_PORT, "port for gRPC; 0 for a free one", 0, 65535, flag_values=FLAGS)
flags.DEFINE_boolean(
    "docker", False, f"start TF Serving with Docker, by its image {tf_serving.IMAGE}", flag_values=FLAGS
)
flags.DEFINE_integer(
    "stable", None, "number of the version to serve, labelled stable; the newest if not given", flag_values=FLAGS
)
flags.DEFINE_integer(
    "canary", None, "number of another version to serve as well, labelled canary; none if not given", flag_values=FLAGS
)
flags.DEFINE_boolean("web", False, "also serve the page that protects pictures in a browser", flag_values=FLAGS)
flags.DEFINE_multi_string(
    "allow_origin",
    [],
    "origins whose pages may ask from a browser, as https://example.org, with commas; * for all; none if not given",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output",
    None,
    "folder to write for TF Serving, Docker Compose and Kubernetes; nothing is served then",
    flag_values=FLAGS,
)
aliases.define("write_config", "output", FLAGS)
flags.DEFINE_integer("cores", 4, "with --output: processor cores that a server gets", flag_values=FLAGS)
flags.DEFINE_boolean("gpu", False, "with --output: a server of kubernetes.yaml gets a GPU", flag_values=FLAGS)
flags.DEFINE_string(
    "store",
    None,
    "with --output: where servers of kubernetes.yaml read the exports, as gs://BUCKET/FOLDER; a volume if not given",
    flag_values=FLAGS,
)


def main(arguments: list[str]) -> None:
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    if not FLAGS.export:
        raise InputError("--export is missing; it is a folder that bin/export has written")
    if FLAGS.rest_port == FLAGS.grpc_port != 0:
        raise InputError(f"--rest_port and --grpc_port must differ. Received: {FLAGS.rest_port} for both")
    origins, web = _origins(), _web()
    target = Target(FLAGS.cores, FLAGS.gpu, FLAGS.store)
    for name in ("cores", "gpu", "store"):
        if FLAGS[name].present and not FLAGS.output:
            raise InputError(f"--{name} is for other machines, and belongs to --output")
    configs = model_config.from_exports(FLAGS.export, FLAGS.stable, FLAGS.canary)
    if FLAGS.output:
        deployment.write(configs, pathlib.Path(FLAGS.output), target)
        print(f"configuration: {FLAGS.output}")
        return
    if FLAGS.docker and not shutil.which("docker"):
        raise InputError("--docker needs the program docker, which is not on PATH")
    if FLAGS.docker or (shutil.which(tf_serving.PROGRAM) and not web):
        _serve_with_tf_serving(configs, origins)
    else:
        _serve_with_stand_in(configs, origins, web)


def run() -> NoReturn:
    app.run(__doc__, FLAGS, main, failures=(NotServing,))


def _origins():
    """The values of --allow_origin."""
    origins = [origin.strip() for value in FLAGS.allow_origin for origin in value.split(",")]
    for origin in origins:
        if origin != cors.ANY and not re.fullmatch(r"https?://[^\s/?#@\\]+", origin):
            raise InputError(
                f"--allow_origin={origin!r} is no origin; allowed: *, or scheme and host as https://example.org"
            )
    return origins


def _web():
    """Folder of the page if --web asks for it, else None."""
    if not FLAGS.web:
        return None
    if FLAGS.docker or FLAGS.output:
        raise InputError("--web is for the stand-in, not for --docker or --output")
    if len(FLAGS.export) > 1:
        raise InputError(f"--web is for one export. Received: {','.join(FLAGS.export)}")
    return web_page.folder()


def _serve_with_tf_serving(configs, origins):
    if origins and cors.ANY not in origins:
        raise InputError(f"TF Serving allows all origins or none: --allow_origin=*. Received: {','.join(origins)}")
    grpc_port = ports.free(FLAGS.host, FLAGS.grpc_port, "--grpc_port")
    rest_port = ports.free(FLAGS.host, FLAGS.rest_port, "--rest_port")
    _verify(configs)
    with tempfile.TemporaryDirectory(prefix="i2p_tf-") as folder:
        pathlib.Path(folder).chmod(0o755)  # the container's user reads it
        if FLAGS.docker:
            tf_serving.write_files(configs, folder, tf_serving.image_base_path)
            command = tf_serving.docker_command(folder, configs, FLAGS.host, grpc_port, rest_port)
        else:
            tf_serving.write_files(configs, folder)
            command = tf_serving.command(folder, configs, grpc_port, rest_port)
            _say(f"{tf_serving.PROGRAM} listens on all addresses of this machine, whatever --host says")
        command += [tf_serving.ALLOW_ALL_ORIGINS] if origins else []
        _say(f"{_addresses(rest_port, grpc_port)}: {' '.join(command)}")
        _run(command)


def _verify(configs):
    """TF Serving checks no files: those that it is going to load are checked before it starts."""
    for config in configs:
        for version in model_config.wanted(config):
            try:
                unchecked = integrity.verify(config.base_path, version)
            except integrity.Damaged as error:
                raise NotServing(f"{config.name}: version {version}: {error}") from error
            if unchecked:
                _say(f"{config.name}: version {version}: {integrity.warning(unchecked)}")


def _run(command):
    """Runs a server until it ends; a signal to this process ends it too."""
    with subprocess.Popen(command, stderr=stderr.descriptor()) as process:
        try:
            code = process.wait()
        finally:
            process.terminate()
    if code:
        raise NotServing(f"{command[0]} has ended with exit code {code}")


def _serve_with_stand_in(configs, origins, web):
    rest_socket = ports.bind(FLAGS.host, FLAGS.rest_port, "--rest_port")
    grpc_port = ports.free(FLAGS.host, FLAGS.grpc_port, "--grpc_port")
    reason = "--web is given" if web else f"{tf_serving.PROGRAM} is not on PATH"
    _say(f"{reason}: starting a stand-in, which is for trying things out on one machine (docs/deployment.md)")
    from i2p_tf.serving.stand_in import server

    addresses = _addresses(rest_socket.getsockname()[1], grpc_port)
    page = f", the page at {addresses.split()[0]}/" if web else ""
    server.serve(
        configs,
        FLAGS.host,
        rest_socket,
        grpc_port,
        lambda line: print(f"{line}: {addresses}{page}", flush=True),
        origins,
        web,
    )


def _addresses(rest_port, grpc_port):
    host = f"[{FLAGS.host}]" if ":" in FLAGS.host else FLAGS.host
    return f"http://{host}:{rest_port} grpc://{host}:{grpc_port}"


def _say(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run()
