"""Pictures on disk -> protected pictures on disk, in a worker for each core."""

import collections
import dataclasses
import functools
import itertools
import os
import pathlib
import queue
import time
from collections.abc import Iterator, Sequence

import numpy as np

from i2p_tf import pictures
from i2p_tf.client import journal as journals
from i2p_tf.client import png
from i2p_tf.client.batches import Batches
from i2p_tf.client.interfaces import PictureSource, Protection
from i2p_tf.client.journal import Journal
from i2p_tf.errors import InputError, printable
from i2p_tf.files import remove_left_overs, write_files


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


def protect_bytes(source: PictureSource, transform: Protection, rule: str) -> bytes:
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
    plain = pictures.decode_square(source, transform.image_size, rule)
    return png.encode(transform(plain[np.newaxis])[0])


def protect_pictures(
    jobs: Sequence[Job], transform: Protection, rule: str, journal: Journal | None = None
) -> Iterator[Outcome]:
    """Does all jobs in `transform.threads` threads.

    Args:
        jobs: list of `Job`s.
        transform, rule: as for `protect_bytes`.
        journal: of the folder, after `claim`: what it says is finished and still is, is kept; None to make all targets.

    Yields:
        An `Outcome` for each job, in any order.
    """
    import multiprocessing.pool  # half as long as all of NumPy, and one picture needs none

    batches = Batches(jobs, transform.image_size)
    step = functools.partial(_protect_batch, batches, transform=transform, rule=rule, journal=journal)
    answers: queue.SimpleQueue = queue.SimpleQueue()
    # One more than compute: one waits for the disk.
    running = transform.threads + 1
    with multiprocessing.pool.ThreadPool(running) as workers:
        for _ in range(running):
            workers.apply_async(step, callback=answers.put, error_callback=answers.put)
        while running:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            if answer:
                workers.apply_async(step, callback=answers.put, error_callback=answers.put)
                yield from answer
            else:
                running -= 1


def plan(inputs: Sequence[pathlib.Path], output: pathlib.Path) -> tuple[list[Job], list[Outcome]]:
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
    places: dict[pathlib.Path, pathlib.Path] = {}
    failures: list[Outcome] = []
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


def check(output: pathlib.Path, settings: dict, jobs: Sequence[Job], overwrite: bool) -> Journal:
    """Finds out whether the jobs may be done; writes nothing.

    Args:
        output: the folder of the targets.
        settings: what decides how the pictures look, as JSON.
        jobs: what is to be done.
        overwrite: make everything again, whatever lies there.

    Returns:
        The `journal.Journal` of the folder, for `claim`.

    Raises:
        InputError: if it holds pictures with other settings, or files in the way that no such command has written.
    """
    journal = journals.Journal(output)
    if overwrite:
        return journal
    former = journal.settings
    if former not in (None, settings):
        differences = [
            f"{name}: {former.get(name)} -> {settings.get(name)}"
            for name in settings | former
            if former.get(name) != settings.get(name)
        ]
        raise InputError(
            f"{printable(output)} holds pictures that were made in another way ({printable('; '.join(differences))}). "
            "Give another folder, or --overwrite to make them again"
        )
    for job in jobs:
        if os.path.lexists(job.target) and (former is None or job.target not in journal):
            raise InputError(
                f"{printable(job.target)} is there already and nothing says that it is protected. "
                "Give another folder, or --overwrite to replace it"
            )
    return journal


def claim(journal: Journal, settings: dict, jobs: Sequence[Job], overwrite: bool) -> None:
    """Makes the folder that of the jobs, or joins it where an earlier command has made it with the same settings.

    Args:
        journal: what `check` has returned; its folder must be locked.
        settings, jobs, overwrite: as for `check`.
    """
    if overwrite or journal.settings is None:
        journal.start(settings)
    targets = [job.target for job in jobs]
    remove_left_overs([journal.path, *targets])
    journal.expect(targets)


def _protect_batch(batches, transform, rule, journal):
    """The `Outcome`s of the next batch."""
    started = time.monotonic()
    outcomes, decoded, images = [], [], []
    for job in batches.take():
        try:
            source, digest = _read(job.source, journal)
            if journal and journal.is_finished(digest, job.target):
                outcomes.append(Outcome(job.source, kept=True))
                continue
            images.append(pictures.decode_square(source, transform.image_size, rule))
            decoded.append((job, digest))
        except pictures.PictureError as error:
            outcomes.append(Outcome(job.source, reason=str(error)))
    if images:
        files = [png.encode(image) for image in transform.in_this_thread(np.stack(images))]
        outcomes += _write(decoded, files, journal)
    if outcomes:
        batches.took(len(outcomes), time.monotonic() - started)
    return outcomes


def _write(decoded, files, journal):
    """The `Outcome`s of jobs of which only files have to be written."""
    contents = {job.target: content for (job, _), content in zip(decoded, files, strict=True)}
    digests = {job.target: digest for job, digest in decoded}

    def note(target):
        if journal:
            journal.finish(digests[target], target, contents[target])

    failures = write_files(contents, note)
    return [Outcome(job.source, reason=_reason(job.target, failures.get(job.target))) for job, _ in decoded]


def _reason(target, error):
    return error and f"{printable(target)} cannot be written: {error.strerror}"


def _read(path, journal):
    """What to decode, and its digest for the journal. A small file is read once, a larger one piece by piece."""
    if not journal:
        return path, None
    content = journals.read_small(path)
    if content is None:
        return path, journals.digest(path)
    return content, journals.digest_of(content)


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
    by_target: dict[pathlib.Path, Job] = {}
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


def _same(path, other):
    return os.path.realpath(path) == os.path.realpath(other)
