"""Bulk protection on Beam's DirectRunner: how much of the transform's own rate is left, and does memory stay flat?

  python benchmarks/beam.py --export=exports/cifar10_resnet20 --pictures=20000
  python benchmarks/beam.py --export=exports/cifar10_resnet20 --pictures=1000000    # idle; 20 minutes, 8 GB

Makes shards of 10,000 PNG pictures by the seed, one in 1,000 of them damaged. Times the bare transform (images in
memory, as many processes as Beam gets) and all that a picture needs (decoding and encoding too), then `bin/protect
--runner=DirectRunner` from shards to shards, then the bare transform again. All damaged pictures must be named, and no
other; a sample must be, byte for byte, what `bin/protect` makes of it. Exits with 1 if one of these is not so. Memory
is that of all processes of the command together, by /proc.
"""

import concurrent.futures
import io
import multiprocessing
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags
from PIL import Image

from i2p_tf import environment, pictures
from i2p_tf.bulk import example
from i2p_tf.bulk.place import Place
from i2p_tf.client import protect, transform

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_string("export", None, "export or .tflite file, as for bin/protect", required=True)
flags.DEFINE_integer("pictures", 20_000, "pictures; one in 1,000 is damaged")
flags.DEFINE_integer("sample", 10_000, "pictures that are compared with those of bin/protect")
flags.DEFINE_integer("processes", 2, "of Beam, and of the bare transform")
flags.DEFINE_float("seconds", 10.0, "of each timing of the bare transform")
flags.DEFINE_integer("seed", 0, "of the pictures, the damages and the sample")

SHARD, ONE_IN = 10_000, 1_000


def main(arguments):
    """Makes, protects, compares; returns 1 if a picture is missing or differs."""
    with tempfile.TemporaryDirectory() as folder:
        plain, protected = pathlib.Path(folder, "plain"), pathlib.Path(folder, "protected.tfrecord")
        plain.mkdir()
        damaged = write_shards(plain)
        before, whole = rate(bare), rate(whole_work)
        seconds, code, memory = run_beam(plain, protected)
        after = rate(bare)
        place = Place(str(protected))
        named = {failure["name"] for failure in place.read_failures()}
        differing = compare(pathlib.Path(folder), protected, damaged)
    reached, of_bare = FLAGS.pictures / seconds / FLAGS.processes, (before + after) / 2
    print(f"bare transform: {before:.0f} and {after:.0f} pictures a second and core, before and after")
    print(f"from PNG bytes to PNG bytes in memory: {whole:.0f}")
    print(f"Beam: {reached:.0f} over {seconds:.0f} s, {reached / of_bare:.3f} and {reached / whole:.3f} of these")
    thirds = [max(memory[i * len(memory) // 3 : (i + 1) * len(memory) // 3], default=0) for i in range(3)]
    print(f"peak memory of its processes together, by thirds: {', '.join(f'{peak:.0f}' for peak in thirds)} MiB")
    print(
        f"exit code {code}; {len(damaged)} damaged, {len(named & damaged)} of them named, {len(named - damaged)} others"
    )
    print(f"{min(FLAGS.sample, FLAGS.pictures)} compared with bin/protect: {differing} differ")
    # `describe_environment` needs TensorFlow, which need not be here.
    print(f"{environment.processor()}, commit {environment.commit()}; {FLAGS.pictures} pictures, seed {FLAGS.seed}")
    return 0 if named == damaged and not differing else 1


def png(number):
    """A picture of 32x32: noise on a colour, by the seed."""
    rng = np.random.default_rng((FLAGS.seed, number))
    pixels = rng.integers(0, 64, (32, 32, 3), dtype=np.uint8) + rng.integers(0, 192, 3, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def write_shards(folder):
    """Writes all pictures; the names of the damaged ones."""
    choice = random.Random(FLAGS.seed)
    damaged = {start + choice.randrange(ONE_IN) for start in range(0, FLAGS.pictures, ONE_IN)}
    damaged = {number for number in damaged if number < FLAGS.pictures}
    for start in range(0, FLAGS.pictures, SHARD):
        with open(folder / shard_name(start), "wb") as file:
            for number in range(start, min(start + SHARD, FLAGS.pictures)):
                content = png(number)[: 200 if number in damaged else None]
                record = example.Record("image", content, (("label", number),))
                example.write_record(file, example.serialized(record, str(number)))
    return {f"{shard_name(number)}/{number % SHARD:08d}" for number in damaged}


def shard_name(number):
    """Name of the shard that a picture is in."""
    return f"plain.tfrecord-{number // SHARD:05d}"


def rate(work):
    """Pictures a second and process of a function of the model and pictures, when all processes do it."""
    with concurrent.futures.ProcessPoolExecutor(FLAGS.processes, multiprocessing.get_context("spawn")) as pool:
        contents = [png(number) for number in range(64)]
        jobs = [pool.submit(timed, work, contents, FLAGS.export, FLAGS.seconds) for _ in range(FLAGS.processes)]
        return sum(job.result() for job in jobs) / FLAGS.processes


def timed(work, contents, export, seconds):
    """Pictures a second of this process."""
    model = transform.load(export, threads=1)
    images = np.stack([pictures.decode_square(content, model.image_size) for content in contents])
    count, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        work(model, contents, images)
        count += len(images)
    return count / (time.monotonic() - started)


def bare(model, contents, images):
    """The transform alone."""
    model(images)


def whole_work(model, contents, images):
    """What a picture needs besides: decoding and encoding."""
    for content in contents:
        protect.protect_bytes(content, model, model.resize_rule)


def run_beam(plain, protected):
    """Seconds, exit code, and the memory in MiB twice a second."""
    command = [ROOT / "bin/protect", f"--export={FLAGS.export}", "--runner=DirectRunner"]
    command += [f"--threads={FLAGS.processes}", f"--input={plain}/*", f"--output={protected}"]
    started, memory = time.monotonic(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    threading.Thread(target=watch, args=(process, memory), daemon=True).start()
    code = process.wait()
    return time.monotonic() - started, code, memory


def watch(process, memory):
    """Notes the resident memory of a process and its children until it ends."""
    while process.poll() is None:
        memory.append(sum(map(resident, [process.pid, *children(process.pid)])))
        time.sleep(0.5)


def children(pid):
    """Process numbers, by Linux's /proc; none elsewhere."""
    try:
        tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def resident(pid):
    """MiB of a process; 0 if it has ended."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20
    except (OSError, IndexError):
        return 0


def compare(folder, protected, damaged):
    """How many pictures of the sample differ from what bin/protect makes of them, or are missing."""
    choice = random.Random(FLAGS.seed)
    sample = set(choice.sample(range(FLAGS.pictures), min(FLAGS.sample, FLAGS.pictures)))
    sample -= {number for number in sample if f"{shard_name(number)}/{number % SHARD:08d}" in damaged}
    (folder / "sample").mkdir()
    for number in sample:
        (folder / "sample" / f"{number}.png").write_bytes(png(number))
    command = [ROOT / "bin/protect", f"--export={FLAGS.export}", folder / "sample", folder / "expected"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    same = 0
    for shard in sorted(folder.glob(f"{protected.name}-*")):
        with open(shard, "rb") as file:
            while (content := example.read_record(file)) is not None:
                record = example.parse(content)
                number = dict(record.labels)["label"]
                if number in sample:
                    same += (folder / "expected" / f"{number}.png").read_bytes() == record.picture
    return len(sample) - same


if __name__ == "__main__":
    app.run(main)
