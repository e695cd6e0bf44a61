"""Pictures on disk -> protected pictures on disk, in a worker for each core."""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import io
import itertools
import json
import multiprocessing.pool
import os
import pathlib

import numpy as np
from PIL import Image

from i2p_tf import pictures
from i2p_tf.errors import InputError, printable

# Lies in a folder of protected pictures and says how they were made. Without it nobody could tell a protected picture
# that an earlier command has finished from a plain one that lies there by chance.
RECORD = ".i2p_tf.json"


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture: the file it is in and the PNG file it becomes."""

    source: pathlib.Path
    target: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a picture: protected; `kept`, as an earlier command has done it; or failed for a `reason`."""

    source: pathlib.Path
    kept: bool = False
    reason: str | None = None


def protect_bytes(source, transform, rule):
    """Protects one picture.

    Args:
        source: path, bytes or binary file object of a picture of any format, mode and size.
        transform: a `Transform`.
        rule: how it is made square, a member of `pictures.RESIZE_RULES`.

    Returns:
        The protected picture as the bytes of a PNG file without metadata, upright as the EXIF data of `source` say.

    Raises:
        pictures.PictureError: if `source` can't be used.
    """
    picture = pictures.decode(source, at_least=transform.image_size)
    plain = np.asarray(pictures.resize(picture, transform.image_size, rule))
    png = io.BytesIO()
    # The fastest compression: a protected picture hardly gets smaller with a better one.
    Image.fromarray(transform(plain[np.newaxis])[0]).save(png, format="PNG", compress_level=1)
    return png.getvalue()


def protect_pictures(jobs, transform, rule, finished_after=None):
    """Does all jobs in `transform.threads` threads; one picture a thread is in memory.

    Args:
        jobs: list of `Job`s.
        transform, rule: as for `protect_bytes`.
        finished_after: modification time, in nanoseconds, from which a target that is there and not older than its
            source is kept; None to make all targets again.

    Yields:
        An `Outcome` for each job, in any order.
    """
    work = functools.partial(_protect_file, transform=transform, rule=rule, finished_after=finished_after)
    with multiprocessing.pool.ThreadPool(transform.threads) as workers:
        yield from workers.imap_unordered(work, jobs)


def plan(inputs, output):
    """Finds the pictures and names their targets.

    The files of one folder keep their places below `output`; of several, each is below a folder of the name of its
    own. `photo.jpg` becomes `photo.png`; where two would get one name, both keep theirs whole: `photo.jpg.png` and
    `photo.png.png`. Hidden files are ignored; `output` is left out where it lies in an input.

    Args:
        inputs: paths of files and folders.
        output: the folder of the targets.

    Returns:
        A list of `Job`s in the order of the names, and a list of `Outcome`s of what could not be listed.

    Raises:
        InputError: if a target would be a source or two targets one file.
    """
    places, failures = {}, []
    for path in inputs:
        if not path.is_dir():
            places.setdefault(path, pathlib.Path())
            continue
        if _same(path, output):
            raise InputError(f"{printable(path)} is both input and output; give another folder for the output")
        below = pathlib.Path() if len(inputs) == 1 else pathlib.Path(os.path.realpath(path)).name
        for file in _walk(path, output, failures):
            places.setdefault(file, below / file.parent.relative_to(path))
    targets = _name_targets(places)
    jobs = [Job(source, output / target) for source, target in targets.items()]
    _check_targets(jobs)
    return jobs, failures


def claim(output, settings, jobs, overwrite):
    """Makes the folder of the targets, or joins it where an earlier command has made it with the same settings.

    Args:
        output: the folder.
        settings: what decides how the pictures look, as JSON.
        jobs: what is to be done.
        overwrite: make everything again, whatever lies there.

    Returns:
        The modification time in nanoseconds from which on targets are finished, for `protect_pictures`.

    Raises:
        InputError: as `check`.
    """
    check(output, settings, jobs, overwrite)
    record = output / RECORD
    if overwrite or not record.is_file():
        write_atomically(record, json.dumps(settings).encode())
    return record.stat().st_mtime_ns


def check(output, settings, jobs, overwrite):
    """Raises what `claim` would raise; writes nothing.

    Raises:
        InputError: if it holds pictures with other settings, or files in the way that no such command has written.
    """
    record = output / RECORD
    if overwrite:
        return
    if record.is_file():
        former = _read_record(record)
        if former == settings:
            return
        differences = [f"{name}: {former.get(name)} -> {value}" for name, value in settings.items()]
        raise InputError(
            f"{printable(output)} holds pictures that were made in another way ({'; '.join(differences)}). "
            "Give another folder, or --overwrite to make them again"
        )
    in_the_way = [job.target for job in jobs if os.path.lexists(job.target)]
    if in_the_way:
        raise InputError(
            f"{printable(in_the_way[0])} is there already and nothing says that it is protected. "
            "Give another folder, or --overwrite to replace it"
        )


def write_atomically(path, content):
    """Writes bytes to a temporary name in the same folder and renames; makes the folder where it is missing.

    The temporary name is short, as that of the file may be as long as the file system allows, and always the same, so
    that a killed command leaves nothing for good.
    """
    temporary = path.with_name(f".unfinished-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")
    try:
        try:
            temporary.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _protect_file(job, transform, rule, finished_after):
    try:
        if finished_after is not None and _is_finished(job, finished_after):
            return Outcome(job.source, kept=True)
        write_atomically(job.target, protect_bytes(job.source, transform, rule))
    except pictures.PictureError as error:
        return Outcome(job.source, reason=str(error))
    except OSError as error:
        return Outcome(job.source, reason=f"{printable(job.target)} cannot be written: {error.strerror}")
    return Outcome(job.source)


def _is_finished(job, finished_after):
    try:
        written = job.target.stat().st_mtime_ns
        return written >= finished_after and written >= job.source.stat().st_mtime_ns
    except FileNotFoundError:
        return False


def _walk(root, output, failures):
    """Yields the visible files below `root` in sorted order; links are followed, but into no folder twice."""

    def note(error):
        failures.append(Outcome(pathlib.Path(error.filename), reason=f"cannot be listed: {error.strerror.lower()}"))

    closed = {os.path.realpath(output)}
    for parent, folders, files in os.walk(root, followlinks=True, onerror=note):
        real = os.path.realpath(parent)
        if real in closed:
            folders.clear()
            continue
        closed.add(real)
        folders[:] = sorted(itertools.filterfalse(pictures.is_hidden, folders))
        yield from (pathlib.Path(parent, name) for name in sorted(itertools.filterfalse(pictures.is_hidden, files)))


def _name_targets(places):
    """Source -> relative path of its target, from source -> relative folder."""
    targets = {source: folder / f"{source.stem}.png" for source, folder in places.items()}
    while clashing := _clashing(targets, places):
        targets |= {source: places[source] / f"{source.name}.png" for source in clashing}
    return targets


def _clashing(targets, places):
    """The sources that share a target and can still be told apart; a file system may ignore the case of names."""
    sharing = collections.defaultdict(list)
    for source, target in targets.items():
        sharing[str(target).casefold()].append(source)
    return [
        source
        for sources in sharing.values()
        if len(sources) > 1
        for source in sources
        if targets[source] != places[source] / f"{source.name}.png"
    ]


def _check_targets(jobs):
    by_target = {}
    sources = {os.path.realpath(job.source) for job in jobs}
    for job in jobs:
        if os.path.realpath(job.target) in sources:
            raise InputError(f"{printable(job.target)} would overwrite an input; give another folder for the output")
        other = by_target.setdefault(job.target, job)
        if other is not job:
            raise InputError(
                f"{printable(other.source)} and {printable(job.source)} would both become {printable(job.target)}; "
                "protect them in two commands"
            )


def _read_record(record):
    try:
        return dict(json.loads(record.read_text()))
    except (ValueError, TypeError):
        return {}


def _same(path, other):
    return os.path.realpath(path) == os.path.realpath(other)
