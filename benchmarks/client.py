"""Speed of the client's variants beside their peers and the limit of the machine, in one run.

  python benchmarks/client.py --transform=paper
  python benchmarks/client.py --transform=small --seconds=5

Milliseconds a picture at batch 1 with one and two threads, pictures a second on all cores. Peers: PyTorch (eager and
torch.compile) and the SavedModel in TensorFlow; what is not installed is said. The limit is the time that the network's
MACs take at the rate of the fastest matrix product of the same precision. The weights are random: speed does not
depend on them. What is timed alternates, round by round, so that a change of the machine's speed meets all.
"""

import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags, logging

from i2p_tf.export import DEFAULT_VARIANTS

FLAGS = flags.FLAGS
flags.DEFINE_string("transform", "paper", "size of the U-Net: paper, small or tiny")
flags.DEFINE_integer("image_size", 32, "height and width in pixels")
flags.DEFINE_integer("rounds", 5, "rounds; the median of the rounds counts")
flags.DEFINE_float("seconds", 1.0, "seconds of each measurement in each round")
flags.DEFINE_integer("pictures", 10_000, "files in the folder that is protected as bin/protect does it; 0 for none")
flags.DEFINE_integer("matrix", 1536, "side of the matrices of the limit")

THREADS = (1, 2)


def main(arguments):
    """Builds, measures, prints."""
    from i2p_tf.environment import describe_environment
    from i2p_tf.models import cost
    from i2p_tf.models.transforms import unet

    transform = unet.unet(FLAGS.transform, FLAGS.image_size)
    images = np.random.default_rng(0).integers(0, 256, (64, FLAGS.image_size, FLAGS.image_size, 3), dtype=np.uint8)
    macs = cost.macs(transform)
    environment = describe_environment()
    print(f"U-Net {FLAGS.transform}, {FLAGS.image_size}x{FLAGS.image_size}, {macs / 1e6:.1f} million MACs a picture")
    print(f"{environment['processor']}, {environment['cores']} cores, commit {environment['commit']}, ", end="")
    print(", ".join(f"{name} {environment['packages'][name]}" for name in ("tensorflow", "numpy")))

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        logging.set_verbosity(logging.WARNING)
        calls = {}
        export(transform, images, folder)
        for variant in DEFAULT_VARIANTS:
            for threads in THREADS:
                calls[variant, threads] = litert_call(folder / f"{variant}.tflite", images, threads)
        calls |= tensorflow_calls(folder / "saved", images)
        calls |= torch_calls(unet.STACKWISE_FILTERS[FLAGS.transform], images, cost.parameters(transform))
        milliseconds = {name: 1000 * seconds for name, seconds in measure(calls).items()}
        limits = matrix_limits(folder, macs)
        rates = {variant: all_cores(folder / f"{variant}.tflite", images) for variant in DEFAULT_VARIANTS}
        report(milliseconds, limits, rates)
        if FLAGS.pictures:
            report_folder(folder, images, rates)


def export(transform, images, folder):
    """Writes the TensorFlow Lite files and the SavedModel."""
    from i2p_tf.export import saved_model, tflite

    values = {"run_id": "0", "image_size": FLAGS.image_size, "resize_rule": "crop", "class_names": []}
    for variant in DEFAULT_VARIANTS:
        if variant == "int8":
            model = tflite.int8_model(transform, images[:10])
        else:
            model = tflite.float_model(transform, variant)
        (folder / f"{variant}.tflite").write_bytes(tflite.with_metadata(model, values | {"variant": variant}))
    saved_model.export_transform(transform, folder / "saved")


def litert_call(file, images, threads):
    """One picture through an interpreter of LiteRT, copying in and out included."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=threads)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def call():
        interpreter.set_tensor(source, images[:1])
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return call


def tensorflow_calls(path, images):
    """One picture through the SavedModel; TensorFlow takes all cores."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # the signatures live as long as this
    signature = loaded.signatures["serving_default"]

    def call(keep=loaded):
        return signature(images=tf.constant(images[:1]))["protected"].numpy()

    return {("SavedModel", os.cpu_count()): call}


def torch_calls(stackwise_filters, images, parameters):
    """One picture through PyTorch, from uint8 to uint8 like the others."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: not measured")
        return {}
    from peers.torch_unet import UNet

    network = UNet(stackwise_filters).eval().to(memory_format=torch.channels_last)
    if sum(parameter.numel() for parameter in network.parameters()) != parameters:
        raise RuntimeError("the network of PyTorch is not the one of Keras")
    print(f"torch {torch.__version__}")
    picture = torch.from_numpy(images[:1]).permute(0, 3, 1, 2)

    def protect(picture, network=network):
        return torch.round(network(picture.float() / 255.0) * 255.0).to(torch.uint8)

    def call(function, threads):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return function(picture)

    calls = {("PyTorch eager", threads): lambda threads=threads: call(protect, threads) for threads in THREADS}
    compiled = torch.compile(protect)
    try:
        call(compiled, 1)
    except Exception as error:  # a compiler or headers are missing, which each version of PyTorch says differently
        print(f"torch.compile does not work here: {type(error).__name__}; not measured")
        return calls
    return calls | {("torch.compile", threads): lambda threads=threads: call(compiled, threads) for threads in THREADS}


def matrix_limits(folder, macs):
    """Milliseconds that `macs` take on one core at the rate of the fastest matrix product, by precision."""
    n = FLAGS.matrix
    seconds = measure(matrix_calls(folder, n))
    best = {}
    for (precision, _), value in seconds.items():
        best[precision] = min(value, best.get(precision, value))
    for (precision, name), value in seconds.items():
        print(f"matrix product {precision:8} {name:8} {n**3 / value / 1e9:8.1f} GMAC/s on one core")
    return {precision: 1000 * macs * value / n**3 for precision, value in best.items()}


def matrix_calls(folder, n):
    """Products of two n x n matrices on one core: LiteRT's, and PyTorch's where it is installed."""
    import keras
    import tensorflow as tf

    from i2p_tf.export import tflite

    generator = np.random.default_rng(0)
    inputs = keras.Input((1, n, n))
    dense = keras.Model(inputs, keras.layers.Conv2D(n, 1, activation="sigmoid")(inputs))
    calls = {}
    values = generator.random((1, 1, n, n), dtype=np.float32)
    with tflite.converter(dense, lambda x: {"y": dense(x)}, tf.float32) as conversion:
        (folder / "float32.product").write_bytes(conversion.convert())
    calls["float32", "LiteRT"] = litert_call(folder / "float32.product", values, 1)
    (folder / "int8.product").write_bytes(tflite.int8_model(dense, np.uint8(values * 255)))
    calls["int8", "LiteRT"] = litert_call(folder / "int8.product", np.uint8(values * 255), 1)
    try:
        import torch
    except ImportError:
        return calls
    a, b = torch.rand(n, n), torch.rand(n, n)
    torch.set_num_threads(1)
    calls["float32", "PyTorch"] = lambda: a @ b
    a8, b8 = (torch.randint(-128, 127, (n, n), dtype=torch.int8) for _ in range(2))
    calls["int8", "PyTorch"] = lambda: torch._int_mm(a8, b8)
    return calls


def measure(calls):
    """Seconds of each call: the median over the rounds of the mean within a round."""
    for call in calls.values():
        call()
    seconds = {name: [] for name in calls}
    for _ in range(FLAGS.rounds):
        for name, call in calls.items():
            call()
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < FLAGS.seconds:
                call()
                count += 1
            seconds[name].append((time.perf_counter() - started) / count)
    return {name: statistics.median(values) for name, values in seconds.items()}


def all_cores(file, images):
    """Pictures a second: of a `Transform` on all cores, and of as many bare interpreters in threads of their own."""
    from i2p_tf.client.transform import Transform

    transform = Transform(file)
    workers = [litert_call(file, images, 1) for _ in range(transform.threads)]
    rounds = [(_rate(lambda: transform(images), len(images)), _rate_of_all(workers)) for _ in range(FLAGS.rounds)]
    return tuple(statistics.median(values) for values in zip(*rounds, strict=True))


def _rate_of_all(workers):
    rates = [0.0] * len(workers)

    def work(index):
        rates[index] = _rate(workers[index], 1)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def _rate(call, pictures):
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < FLAGS.seconds:
        call()
        count += pictures
    return count / (time.perf_counter() - started)


def report(milliseconds, limits, rates):
    """Prints the tables and the ratios that the project promises."""
    print(f"\n{'':16} threads   ms a picture   times float32")
    for (name, threads), value in milliseconds.items():
        base = milliseconds["float32", min(threads, max(THREADS))]
        print(f"{name:16} {threads:7} {value:14.3f} {value / base:15.2f}")
    for precision, value in limits.items():
        print(f"limit, {precision:9} {1:7} {value:14.3f} {value / milliseconds['float32', 1]:15.2f}")
    print(f"\n{'':16} pictures/s on all cores: Transform, bare interpreters, ratio")
    for variant, (own, bare) in rates.items():
        print(f"{variant:16} {own:10.1f} {bare:10.1f} {own / bare:6.2f}")
    float32, int8 = milliseconds["float32", 1], milliseconds["int8", 1]
    print(f"\nint8 is {float32 / int8:.2f} times as fast as float32 (1 thread)")
    if ("PyTorch eager", 1) in milliseconds:
        print(f"float32 is {milliseconds['PyTorch eager', 1] / float32:.2f} times as fast as eager PyTorch (1 thread)")
    print(f"int8 takes {int8 / limits['int8']:.2f} times the limit, float32 {float32 / limits['float32']:.2f} times")


def report_folder(folder, images, rates):
    """Protects a folder of PNG files; prints the rate beside that of the bare interpreters, and the memory it took."""
    from PIL import Image

    from i2p_tf.client import protect
    from i2p_tf.client.transform import Transform

    (folder / "in").mkdir()
    for index in range(FLAGS.pictures):
        Image.fromarray(images[index % len(images)]).save(folder / "in" / f"{index}.png")
    for variant, (_, bare) in rates.items():
        transform = Transform(folder / f"{variant}.tflite")
        jobs, _ = protect.plan([folder / "in"], folder / variant)
        started, before = time.perf_counter(), _resident_megabytes()
        for count, _ in enumerate(protect.protect_pictures(jobs, transform, "crop"), start=1):
            if count == FLAGS.pictures // 10:
                early = _resident_megabytes()
        rate = FLAGS.pictures / (time.perf_counter() - started)
        print(
            f"{FLAGS.pictures} files, {variant:8} {rate:8.1f} pictures/s, {rate / bare:.2f} of the bare interpreters; "
            f"resident {before:.0f} MB before, {early:.0f} MB at a tenth, {_resident_megabytes():.0f} MB at the end"
        )


def _resident_megabytes():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    app.run(main)
