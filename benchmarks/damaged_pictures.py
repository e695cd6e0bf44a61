"""Damaged pictures: is each one named, or protected as it was before it was damaged, and what does it cost?

  python benchmarks/damaged_pictures.py --export=exports/cifar10_resnet20
  python benchmarks/damaged_pictures.py --export=exports/cifar10_resnet20 --pictures=10000 --seed=0

Makes pictures of eight formats and damages each in one of five ways, all by the seed: cut off, some bits turned over,
a stretch overwritten with noise, a stretch taken out, its head exchanged with that of another. `bin/protect` is called
on the folder. Every picture has to be named as refused or have a protected one; the command may not crash, and must
write nothing of its libraries. The peak of its memory is printed.
"""

import collections
import io
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags
from PIL import Image

from i2p_tf.environment import describe_environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_string("export", None, "export or .tflite file, as for bin/protect")
flags.DEFINE_integer("pictures", 10_000, "damaged pictures")
flags.DEFINE_integer("seed", 0, "of the pictures and of their damages")

FORMATS = ("png", "jpeg", "webp", "gif", "bmp", "tiff", "ppm", "avif")


def main(arguments):
    """Makes, damages, protects, counts; 1 if a picture was neither named nor protected."""
    with tempfile.TemporaryDirectory() as folder:
        plain, protected = pathlib.Path(folder, "plain"), pathlib.Path(folder, "protected")
        write(plain)
        command = [ROOT / "bin/protect", f"--export={FLAGS.export}", plain, protected]
        result = subprocess.run(command, capture_output=True, text=True)
        lines = result.stderr.splitlines()
        named = {match[0] for line in lines if (match := re.search(r"\d{6}\.\w+", line))}
        written = {path.stem for path in protected.rglob("*.png")}
        names = {path.name for path in plain.iterdir()}
    silent = [name for name in names if name not in named and not {name, pathlib.Path(name).stem} & written]
    print(f"exit code {result.returncode}; {len(named)} named, {len(written)} protected, {len(silent)} neither")
    reasons = collections.Counter(re.sub(r".*\d{6}\.\w+: ", "", re.sub(r"\d[\d,]* MB", "N MB", line)) for line in lines)
    for reason, count in reasons.most_common(12):
        print(f"{count:7,}  {reason}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of the command: {peak:.0f} MiB")
    # Last: it loads TensorFlow, and a process that is started from then on counts that as its own peak.
    environment = describe_environment()
    print(f"{environment['processor']}, commit {environment['commit']}; {FLAGS.pictures} pictures, seed {FLAGS.seed}")
    return 1 if silent or result.returncode not in (0, 1, 2) else 0


def write(folder):
    """The damaged pictures as `folder/NUMBER.FORMAT`."""
    folder.mkdir()
    generator = random.Random(FLAGS.seed)
    whole = {kind: [picture(kind, generator) for _ in range(20)] for kind in FORMATS}
    for number in range(FLAGS.pictures):
        kind = FORMATS[number % len(FORMATS)]
        other = generator.choice(whole[generator.choice(FORMATS)])
        (folder / f"{number:06}.{kind}").write_bytes(damage(generator.choice(whole[kind]), other, generator))


def picture(kind, generator):
    """A file of smooth colours with some noise, 8 to 96 pixels wide."""
    width, height = generator.randint(8, 96), generator.randint(8, 96)
    noise = np.random.default_rng(generator.randrange(2**32))
    small = Image.fromarray(noise.integers(0, 256, (3, 3, 3), dtype=np.uint8)).resize((width, height))
    pixels = np.asarray(small).astype(int) + noise.integers(-8, 9, (height, width, 3))
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.clip(pixels, 0, 255))).save(file, kind)
    return file.getvalue()


def damage(content, other, generator):
    """The file, damaged in one of five ways."""
    start = generator.randrange(len(content))
    stretch = generator.randint(1, max(1, len(content) // 4))
    way = generator.choice(("cut", "bits", "noise", "gap", "head"))
    if way == "cut":
        return content[:start]
    if way == "bits":
        turned = bytearray(content)
        for _ in range(generator.randint(1, 8)):
            turned[generator.randrange(len(turned))] ^= 1 << generator.randrange(8)
        return bytes(turned)
    if way == "noise":
        return content[:start] + generator.randbytes(stretch) + content[start + stretch :]
    if way == "gap":
        return content[:start] + content[start + stretch :]
    return other[: min(64, start)] + content[min(64, start) :]


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    flags.mark_flag_as_required("export")
    app.run(main)
