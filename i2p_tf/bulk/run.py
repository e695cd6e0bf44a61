"""One bulk job, from a pattern to files. Imports Beam, which takes seconds: check what can be checked before."""

import collections
import contextlib
import dataclasses
import hashlib
import pathlib
import re
import shlex
from collections.abc import Callable

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from i2p_tf.bulk import inputs, local_runner, pipeline, storage
from i2p_tf.bulk.errors import BulkFailed
from i2p_tf.bulk.pipeline import Look
from i2p_tf.bulk.place import Place
from i2p_tf.client.transform import Transform
from i2p_tf.errors import InputError
from i2p_tf.run_dir import lock_folder

HERE = "DirectRunner"  # processes of this machine


@dataclasses.dataclass(frozen=True)
class Totals:
    """Numbers of pictures of a job, and where its failures are listed."""

    protected: int
    kept: int
    failed: int
    place: Place


def protect(
    runner: str,
    pattern: str,
    output: str,
    transform: Transform,
    rule: str,
    processes: int = 1,
    options: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int | None], None] = lambda finished, total: None,
) -> Totals:
    """Protects all pictures that a pattern matches.

    Args:
        runner: `HERE`, or the name of another one of Beam.
        pattern: of the inputs, as `inputs.find` takes it.
        output: as the prefix of a `Place`.
        transform, rule: as for `i2p_tf.client.protect.protect_bytes`.
        processes: of `HERE`; clusters have options for theirs.
        options: further ones of Beam, as one would type them.
        overwrite: make everything again, whatever lies there.
        progress: takes how many parts are finished and how many there are, None if nobody knows; of `HERE` alone.

    Raises:
        InputError: if the job can't be begun.
        BulkFailed: if it was not finished.
    """
    beam_options, place = _options(options), Place(storage.absolute(output))
    found = inputs.find(storage.absolute(pattern), place.prefix)
    settings = transform.identity | {"resize": rule, "inputs": hashlib.sha256(found.plan).hexdigest()}
    with _locked(place):
        place.claim(settings, found.plan, transform.content, overwrite)
        look = Look(transform.image_size, rule, transform.bits)
        counts = _counts(
            runner,
            beam_options,
            processes,
            lambda root: pipeline.build(root, found.units, found.base, place, look),
            lambda: progress(place.finished_parts(), found.parts) if storage.is_local(place.folder) else None,
        )
    return Totals(counts["protected"], counts["kept"], counts["failed"], place)


def _locked(place):
    """Held while a command of this machine writes; clusters' files are written whole, whoever is the last."""
    if not storage.is_local(place.folder):
        return contextlib.nullcontext()
    return lock_folder(pathlib.Path(place.folder), "wait for it, or give another output")


def _options(given: str) -> PipelineOptions:
    try:
        options = PipelineOptions(shlex.split(given))
        options.get_all_options()
    except (SystemExit, ValueError):  # of argparse, which has said why, and of quotes
        raise InputError(f"--beam_options has an option that Beam can't read. Received: {given}") from None
    return options


def _counts(runner, options, processes, build, tick) -> dict[str, int]:
    """The counters of a pipeline that has ended well."""
    try:
        if runner == HERE:
            result = local_runner.run(build, options, processes, tick)
        else:
            root = beam.Pipeline(runner, options=options)
            build(root)
            result = root.run()
            state = result.wait_until_finish()
            if state != PipelineState.DONE:
                raise BulkFailed(f"the job has ended as {state}")
        counters = result.metrics().query(MetricsFilter().with_namespace(pipeline.NAMESPACE))["counters"]
    except BulkFailed:
        raise
    except Exception as error:  # of a step, of the runner, of its cluster
        raise BulkFailed(_reason(error)) from error
    counts: collections.Counter = collections.Counter()  # a counter is of one step, and two steps may have its name
    for each in counters:
        counts[each.key.metric.name] += each.result
    return counts


def _reason(error):
    """The last line of what may be the traceback of a worker, without the name of the step."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r" \[while running .*", "", lines[-1]) if lines else type(error).__name__
