"""Speed and agreement of the module for browsers, in Chromium, beside the Python client.

  python benchmarks/browser.py
  python benchmarks/browser.py --pictures=1000 --rounds=3

Milliseconds a picture of the shipped export by WebAssembly, on one thread and, on a page that is isolated from others,
on as many as the browser takes; beside LiteRT in Python on one thread, in one run. The network alone, after the first
run. Then `--pictures` drawn pictures go through module and Python: equal bytes, and pictures that differ by more than a
level. At last the bytes that a browser loads until the page answers. Needs Debian's chromium and chromium-driver, and
`npm ci` in web/.
"""

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "web"))

import chromium
import numpy as np
import page_server
from absl import app, flags

import i2p_tf
from i2p_tf.environment import describe_environment

FLAGS = flags.FLAGS
flags.DEFINE_integer("pictures", 10_000, "that are compared")
flags.DEFINE_integer("rounds", 5, "rounds; their median counts")
flags.DEFINE_float("seconds", 1.0, "of each measurement in each round")

VARIANTS = ("float32", "int8")
TIMING = """
const { load } = await import("/i2p.js");
const transform = await load("/export/manifest.json", { variant: arguments[0] });
const picture = new ImageData(transform.imageSize, transform.imageSize);
picture.data.forEach((_, index) => (picture.data[index] = index % 4 === 3 ? 255 : (index * 7919) % 256));
const started = performance.now();
let count = 0;
for (; performance.now() - started < 1000 * arguments[1]; count++) await transform.protect(picture);
return [(performance.now() - started) / count, crossOriginIsolated];
"""


def main(arguments):
    """Measures and prints."""
    if arguments[1:]:
        raise app.UsageError(f"unexpected argument {arguments[1]!r}")
    environment = describe_environment()
    print(f"{environment['processor']}, {environment['cores']} cores, commit {environment['commit']}")
    with page_server.PageServer().running() as server, chromium.start() as browser:
        for name, row in times(server, browser).items():
            print(f"{name:30} {statistics.median(row):6.2f} ms ({min(row):.2f} to {max(row):.2f})", flush=True)
        open_page(server, browser)
        images = np.random.default_rng(0).integers(0, 256, (FLAGS.pictures, 4, 4, 3), np.uint8)
        images = images.repeat(server.manifest["image_size"] // 4, 1).repeat(server.manifest["image_size"] // 4, 2)
        for variant in VARIANTS:
            made = server.protect_in(browser, images, variant)
            expected = i2p_tf.load_transform(page_server.EXPORT, variant)(images)
            far = np.abs(made.astype(int) - expected).max(axis=(1, 2, 3)) > 1
            words = len(np.unique(expected, axis=0))
            print(
                f"{variant}: {np.mean(made == expected):.4%} of the bytes of {len(images)} pictures are equal, "
                f"{far.sum()} pictures differ by more than a level ({words} different ones in Python)",
                flush=True,
            )
        weigh(server, browser)


def times(server, browser):
    """Name -> milliseconds a picture, of each round."""
    rows = {}
    for _ in range(FLAGS.rounds):
        for variant in VARIANTS:
            for name, isolated in (("one thread", False), ("threads", True)):
                open_page(server, browser, isolated)
                milliseconds, really = browser.run(TIMING, variant, FLAGS.seconds)
                assert really == isolated
                rows.setdefault(f"{variant}, browser, {name}", []).append(milliseconds)
            rows.setdefault(f"{variant}, Python, one thread", []).append(in_python(variant))
    return rows


def in_python(variant):
    """Milliseconds a picture."""
    transform = i2p_tf.load_transform(page_server.EXPORT, variant, threads=1)
    picture = np.arange(transform.image_size**2 * 3).reshape(1, transform.image_size, -1, 3).astype(np.uint8)
    started, count = time.monotonic(), 0
    while time.monotonic() - started < FLAGS.seconds:
        transform(picture)
        count += 1
    return 1000 * (time.monotonic() - started) / count


def open_page(server, browser, isolated=True):
    """Opens a page on which the module can be imported."""
    server.reset()
    if not isolated:
        server.headers.clear()
    server.files["/module.html"] = page_server.MODULE_PAGE
    browser.open(f"{server.url}/module.html")


def weigh(server, browser):
    """Prints what the page loads."""
    browser.command("Network.clearBrowserCache")
    server.reset()
    browser.open(f"{server.url}/")
    browser.wait("document.querySelector('#about').innerText")
    print(f"the page loads {server.sent_bytes / 1e6:.2f} MB uncompressed:")
    for path in dict.fromkeys(path for _, path, _ in server.received):
        print(f"  {path}")


if __name__ == "__main__":
    app.run(main)
