"""Runs a pipeline in processes of this machine, without a cluster.

Beam's DirectRunner may download a program that takes its place, and waits for ever for a worker that was killed. This
is the part of it that does the work, FnApiRunner, with workers of our own.
"""

import os
import queue
import re
import shlex
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from i2p_tf.bulk.errors import BulkFailed

_SECONDS = 2.0  # between two calls of `tick`


def _server(*arguments, **options):
    """A server that listens on this machine alone: Beam's give out any file of the user's, to whoever asks."""
    server = grpc.server(*arguments, **options)
    listen = server.add_insecure_port
    server.add_insecure_port = lambda address: listen(address.replace("[::]", "localhost"))
    return server


for module in (worker_handlers, local_job_service):
    module.grpc = types.SimpleNamespace(server=_server)  # all that is used of gRPC there


def run(
    build: Callable[[beam.Pipeline], None], options: PipelineOptions, processes: int, tick: Callable[[], None]
) -> Any:
    """The result of a pipeline that has ended well.

    Args:
        build: adds the steps to the pipeline.
        options: of Beam.
        processes: that work; 1 for this one alone.
        tick: called now and then meanwhile.

    Raises:
        BulkFailed: if a worker process dies. Whatever a step raises is raised here as well.
    """
    options.view_as(DirectOptions).direct_num_workers = processes
    outcomes: queue.Queue = queue.Queue()
    former = threading.excepthook
    threading.excepthook = lambda arguments: outcomes.put(_died(arguments.exc_value))
    try:
        with tempfile.TemporaryDirectory(prefix="i2p_tf-") as folder:  # workers end when it goes
            arguments = (build, FnApiRunner(_environment(folder) if processes > 1 else None), options, outcomes)
            threading.Thread(target=_run, args=arguments, daemon=True).start()
            return _wait(outcomes, tick)
    finally:
        threading.excepthook = lambda arguments: _is_death(arguments.exc_value) or former(arguments)


def _environment(folder):
    command = ["exec", sys.executable, "-P", "-m", "i2p_tf.bulk.worker", folder, str(os.getpid())]
    return SubprocessSDKEnvironment.from_command_string(shlex.join(command))


def _run(build, runner, options, outcomes):
    try:
        pipeline = beam.Pipeline(runner, options=options)
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
        outcomes.put(result)
    except Exception as error:
        outcomes.put(error)


def _wait(outcomes, tick):
    while True:
        try:
            outcome = outcomes.get(timeout=_SECONDS)
        except queue.Empty:
            tick()
            continue
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _is_death(error):
    """Whether a worker has ended; those that end after the pipeline are meant to."""
    return isinstance(_died(error), BulkFailed)


def _died(error):
    if code := re.search(r"exited with return code (-?\d+)", str(error)):
        return BulkFailed(f"a worker process has ended with exit code {code[1]}; the same command goes on")
    return error
