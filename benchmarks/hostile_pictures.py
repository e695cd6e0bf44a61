"""Peak memory of decoding pictures that are made to take much of it, and of the largest that are allowed.

  python benchmarks/hostile_pictures.py
  python benchmarks/hostile_pictures.py --threads=1,8 --only=webp

Of each picture a process of its own decodes twice as many copies as there are threads, as bin/protect does it; what it
has resident at its peak, less what it has before the first, is the figure. A picture that is refused says why.

"""

import concurrent.futures
import io
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags
from PIL import Image

from i2p_tf import picture_memory, pictures

FLAGS = flags.FLAGS
flags.DEFINE_list("threads", ["1", "4"], "numbers of threads")
flags.DEFINE_string("only", "", "part of the name of what is measured; all if empty")
flags.DEFINE_string("picture", None, "what a process of its own measures, with the first of --threads")

SIZE = 32
# A lossless WebP of one colour, 16,000 x 5,000 pixels.
WEBP = bytes.fromhex("524946461a000000574542505650384c0e0000002fc3e2b008071011fd0f4444ff03")
LARGEST = 80_000_000


def flat(mode, pixels):
    """A picture of one colour, four times as wide as high, of about `pixels`."""
    height = int((pixels / 4) ** 0.5)
    return Image.new(mode, (4 * height, height), 1)


def encoded(image, file_format, **options):
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def within_budget(mode, bytes_a_pixel):
    """The largest picture of a format whose reader takes so many bytes a pixel."""
    return flat(mode, min(LARGEST, 0.99 * picture_memory.BUDGET / bytes_a_pixel))


PICTURES = {
    "webp of 34 bytes": lambda: WEBP,
    "png, 16 bits, 80 MP": lambda: encoded(flat("I;16", LARGEST), "PNG"),
    "png, RGBA, 80 MP": lambda: encoded(flat("RGBA", LARGEST), "PNG"),
    "tiff, floats, 80 MP": lambda: encoded(flat("F", LARGEST), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg, 80 MP": lambda: encoded(flat("RGB", LARGEST), "JPEG"),
    "jpeg, progressive, 80 MP": lambda: encoded(flat("RGB", LARGEST), "JPEG", progressive=True),
    "largest jpeg, progressive 4:4:4": lambda: encoded(
        within_budget("RGB", 6.1), "JPEG", progressive=True, subsampling=0
    ),
    "largest jpeg, progressive CMYK": lambda: encoded(within_budget("CMYK", 8.1), "JPEG", progressive=True),
    "largest png, RGB": lambda: encoded(within_budget("RGB", 4), "PNG"),
    "largest png, RGBA": lambda: encoded(within_budget("RGBA", 8), "PNG"),
    "largest png, palette": lambda: encoded(within_budget("P", 5), "PNG"),
    "largest png, 16 bits": lambda: encoded(within_budget("I;16", 6), "PNG"),
    "largest png, cut off": lambda: encoded(within_budget("RGB", 4), "PNG")[:-1000],
    "largest gif": lambda: encoded(within_budget("P", 5), "GIF"),
    "largest bmp": lambda: encoded(within_budget("RGB", 4), "BMP"),
    "largest ppm": lambda: encoded(within_budget("RGB", 4), "PPM"),
    "largest tiff, RGB in one strip": lambda: encoded(
        within_budget("RGB", 8), "TIFF", compression="tiff_lzw", strip_size=1 << 30
    ),
    "largest tiff, floats": lambda: encoded(within_budget("F", 8), "TIFF", compression="tiff_lzw"),
    "largest webp": lambda: encoded(within_budget("RGB", 16), "WEBP", lossless=True, quality=0, method=0),
    "largest webp, alpha": lambda: encoded(within_budget("RGBA", 16), "WEBP", quality=10, method=0),
    "largest avif": lambda: encoded(within_budget("RGB", 20), "AVIF", speed=10, subsampling="4:4:4"),
    "largest avif, alpha": lambda: encoded(within_budget("RGBA", 20), "AVIF", speed=10, subsampling="4:4:4"),
    "largest jpeg 2000": lambda: encoded(within_budget("RGB", 25), "JPEG2000"),
    "largest jpeg 2000, alpha": lambda: encoded(within_budget("RGBA", 32), "JPEG2000"),
    "largest jpeg 2000, 16 bits": lambda: encoded(within_budget("I;16", 9), "JPEG2000"),
}


def megabytes(entry):
    """What /proc says of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) * 1024 / 1e6


def measure(path, threads):
    """Decodes a file in several threads at once; prints the peak."""
    pictures.decode_square(encoded(Image.new("RGB", (64, 64)), "JPEG"), SIZE)
    idle = megabytes("VmRSS")

    def work(_):
        try:
            pictures.decode_square(path, SIZE)
        except pictures.PictureError as error:
            return str(error)
        return "decoded"

    with concurrent.futures.ThreadPoolExecutor(threads) as workers:
        outcomes = set(workers.map(work, range(2 * threads)))
    print(f"{megabytes('VmHWM') - idle:6.0f} MB  {'; '.join(sorted(outcomes))}")


def main(arguments):
    """Prints a line for each picture and number of threads."""
    del arguments
    if FLAGS.picture:
        measure(FLAGS.picture, int(FLAGS.threads[0]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, make in PICTURES.items():
            if FLAGS.only not in name:
                continue
            file = pathlib.Path(folder, "picture")
            file.write_bytes(make())
            for threads in FLAGS.threads:
                command = [sys.executable, __file__, f"--picture={file}", f"--threads={threads}"]
                result = subprocess.run(command, capture_output=True, text=True)
                line = result.stdout.strip() or f"failed: {result.stderr.strip().splitlines()[-1:]}"
                print(f"{name:32} {file.stat().st_size:>11,} bytes, {threads} threads: {line}", flush=True)


if __name__ == "__main__":
    app.run(main)
