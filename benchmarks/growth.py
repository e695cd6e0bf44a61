"""How the client's cost grows: pictures a second over image size, batch, cores and number of pictures, as one picture.

  python benchmarks/growth.py --output=docs/images/growth.png    # on an idle machine; about 5 minutes

Times three transforms with random weights, of which speed does not depend, in float32 by LiteRT: image sizes one by one
on one core, batches at 32x32 on one core, and batches of 64 on one and on two. What is timed alternates, round by
round; the median counts. Then `bin/protect` of the `small` U-Net does folders of 1,000 to --pictures PNG files, and its
highest memory is that of its process. Prints each number as well.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "PNG file to write", required=True)
flags.DEFINE_integer("rounds", 5, "rounds; the median of the rounds counts")
flags.DEFINE_float("seconds", 0.5, "seconds of each measurement in each round")
flags.DEFINE_integer("pictures", 100_000, "files in the largest folder")

TRANSFORMS = ("codebook", "small", "code_small")
SIZES, BATCHES, CORES, FIRST_FOLDER = (32, 64, 96, 224), (1, 4, 16, 64), (1, 2), 1_000
COLOURS = {"codebook": (0, 90, 181), "small": (220, 50, 32), "code_small": (64, 145, 80), "memory": (120, 120, 120)}


def main(arguments):
    """Measures, draws, prints."""
    from i2p_tf.environment import describe_environment

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = {(name, size): exported(name, size, folder) for name in TRANSFORMS for size in SIZES}
        by_size = timed({key: call(file, key[1], 1, 1) for key, file in files.items()})
        small = {name: files[name, SIZES[0]] for name in TRANSFORMS}
        by_batch = timed({(name, n): call(small[name], SIZES[0], n, 1) for name in small for n in BATCHES})
        by_cores = timed({(name, n): call(small[name], SIZES[0], BATCHES[-1], n) for name in small for n in CORES})
        by_pictures = folders(small["small"], folder)
    image = Image.new("RGB", (1500, 1100), "white")
    panel(image, 0, 0, "Pictures a second, one core, one by one", "image size [pixels]", by_size)
    panel(image, 1, 0, "Pictures a second, one core, 32x32", "batch", by_batch)
    panel(image, 0, 1, "Pictures a second, batches of 64, 32x32", "cores", by_cores)
    panel(image, 1, 1, "bin/protect: pictures a second; memory [MiB]", "PNG files of 32x32 in the folder", by_pictures)
    image.save(FLAGS.output)
    environment = describe_environment()
    print(f"{environment['processor']}, {environment['cores']} cores, commit {environment['commit']}; {FLAGS.output}")


def exported(name, size, folder):
    """A .tflite file of a transform."""
    from i2p_tf import models
    from i2p_tf.export import tflite

    model = tflite.float_model(models.transform(name, size, 10, {}), "float32")
    values = {"run_id": "0", "image_size": size, "resize_rule": "crop", "class_names": [], "variant": "float32"}
    path = folder / f"{name}_{size}.tflite"
    path.write_bytes(tflite.with_metadata(model, values))
    return path


def call(file, size, batch, cores):
    """A function that protects a batch, and how many pictures that are."""
    from i2p_tf.client import transform

    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    model = transform.load(file, threads=cores)
    return lambda: model(images), batch


def timed(calls):
    """Pictures a second by transform, and that by number: the medians of the rounds."""
    rates = {key: [] for key in calls}
    for _ in range(FLAGS.rounds):
        for key, (function, pictures) in calls.items():
            function()
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < FLAGS.seconds:
                function()
                count += pictures
            rates[key].append(count / (time.perf_counter() - started))
    found = {}
    for (name, number), values in rates.items():
        found.setdefault(name, {})[number] = statistics.median(values)
        print(f"{name:10} {number:4}: {statistics.median(values):8.1f} ({min(values):.1f} to {max(values):.1f})")
    return found


def folders(file, folder):
    """Pictures a second of bin/protect without its start, and its highest resident memory in MiB, by files."""
    plain, found, number = folder / "plain", {"small": {}, "memory": {}}, FIRST_FOLDER
    plain.mkdir()
    write_pictures(plain, range(1))
    start, _ = protected(file, plain, folder / "protected_one")
    written = 1
    while number <= FLAGS.pictures:
        write_pictures(plain, range(written, number))
        seconds, memory = protected(file, plain, folder / f"protected_{number}")
        found["small"][number], found["memory"][number] = number / (seconds - start), memory
        print(f"folder of {number}: {number / (seconds - start):.1f} a second, {memory:.0f} MiB")
        written, number = number, 10 * number
    return found


def write_pictures(folder, numbers):
    """PNG files of noise on a colour."""
    for number in numbers:
        random = np.random.default_rng(number)
        pixels = random.integers(0, 64, (32, 32, 3), dtype=np.uint8) + random.integers(0, 192, 3, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:07}.png", compress_level=1)


def protected(file, plain, output):
    """Seconds that bin/protect takes, and its highest resident memory in MiB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "i2p_tf.cli.protect", f"--export={file}", f"--output={output}", str(plain)]
    process, memory = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL), 0.0
    while process.poll() is None:  # what the system counts at the end includes this process, as it was when it forked
        memory = max(memory, highest_resident(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit("error: bin/protect has failed")
    return time.perf_counter() - started, memory


def highest_resident(pid):
    """MiB that a process has had resident at the most, by Linux's /proc; 0 where it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def panel(image, column, row, title, label, curves):
    """A quarter of the picture: `curves`, numbers by their places, by name, over evenly spaced places from 0 up."""
    pen = ImageDraw.Draw(image)
    left, right, top, bottom = 750 * column + 90, 750 * column + 720, 550 * row + 100, 550 * row + 470
    places = list(next(iter(curves.values())))
    highest = ceiling(max(max(curve.values()) for curve in curves.values()))
    pen.text((left, top - 80), title, "black", ImageFont.load_default(24))
    for tick in range(6):
        y = bottom - (bottom - top) * tick / 5
        pen.line([(left, y), (right, y)], (215, 215, 215))
        pen.text((left - 10, y), f"{highest * tick / 5:g}", "black", ImageFont.load_default(19), anchor="rm")
    across = {place: left + (right - left) * (index + 0.5) / len(places) for index, place in enumerate(places)}
    for place, x in across.items():
        pen.text((x, bottom + 10), f"{place:,}", "black", ImageFont.load_default(19), anchor="ma")
    pen.text(((left + right) // 2, bottom + 62), label, "black", ImageFont.load_default(19), anchor="md")
    x = left
    for name, curve in curves.items():
        points = [(across[place], bottom - (bottom - top) * value / highest) for place, value in curve.items()]
        pen.line(points, COLOURS[name], 4)
        for px, py in points:
            pen.ellipse([(px - 6, py - 6), (px + 6, py + 6)], COLOURS[name])
        pen.line([(x, top - 28), (x + 30, top - 28)], COLOURS[name], 5)
        pen.text((x + 38, top - 28), name, "black", ImageFont.load_default(19), anchor="lm")
        x += 60 + pen.textlength(name, ImageFont.load_default(19)) + 20


def ceiling(value):
    """The next 1, 2 or 5 times a power of 10."""
    power = 10.0 ** np.floor(np.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


if __name__ == "__main__":
    app.run(main)
