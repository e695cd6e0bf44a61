"""Speed of the training steps beside PyTorch and the limit of the machine, and of what surrounds them.

  python benchmarks/train_step.py --data_dir=DIR
  python benchmarks/train_step.py --part=steps --nopeers
  python benchmarks/train_step.py --quick

Steps: images a second of each step in `workloads.py`, in float32 and in the precision that bin/train takes on this
machine, beside PyTorch as published (float32, contiguous NCHW, eager) and tuned (`peers/torch_steps.py`); weights and
images are random, for speed does not depend on them. Each contender has a process of its own, which sleeps while others
have their turn: the thread pools of two libraries never share a process, and each finds the machine as it would alone.
What is timed alternates, round by round, so that a change of the machine's speed meets all; ratios are taken within a
round. A matrix product beside each says how fast the machine was; where it moved by more than a fifth within the rounds
of a step, they are taken again, and a step that never had a steady machine says so. Before that each contender takes
two steps from the same weights, and their losses must agree.

The limit is the step's floating-point operations at the rate of the best matrix product of the same precision in this
run: 2 a MAC, times 3 for networks that are trained (forward, gradient by the input, gradient by the weights), times 2
for frozen ones that a gradient passes, once more for φ on plain images. Operations are those of plain convolutions;
minimal filtering (`i2p_tf/models/layers/minimal_filtering.py`) needs fewer, so a share of the limit may be above 1.

Pipeline: batches as of CIFAR-10 on one core, without a step. Evaluation: what bin/evaluate computes of 10,000 images,
beside the time that the forward passes of a training step would take for as many. Start: seconds from the call of
bin/train on all of CIFAR-10 to its first step. Memory: the most that bin/train has resident while h_θ learns from all
of CIFAR-10, and in a whole run on few images, with validation and test. Start and memory need CIFAR-10, prepared by
TensorFlow Datasets, in --data_dir.
"""

import concurrent.futures
import contextlib
import importlib
import importlib.util
import math
import multiprocessing
import os
import pathlib
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags
from workloads import quick_workloads, workloads

from i2p_tf.cli.app import ENVIRONMENT
from i2p_tf.files import write_json
from i2p_tf.presets import paper_two_cores

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ("steps", "pipeline", "evaluation", "start", "memory")
FLAGS = flags.FLAGS
flags.DEFINE_multi_enum("part", PARTS, PARTS, "what to measure; may be repeated")
flags.DEFINE_boolean("peers", True, "time PyTorch too, where it is installed")
flags.DEFINE_boolean("quick", False, "one round of small steps in small batches, float32 alone, to try things out")
flags.DEFINE_integer("rounds", 5, "rounds; the median of the rounds counts")
flags.DEFINE_float("seconds", 1.0, "least seconds of each measurement in each round")
flags.DEFINE_integer("matrix", 2048, "side of the matrices of the limit")
flags.DEFINE_string("data_dir", None, "prepared TensorFlow Datasets directory with CIFAR-10")
flags.DEFINE_string("json", None, "file to write the results to")

CIFAR10_IMAGES = 45_000  # for training
TEST_IMAGES = 10_000
FEW_IMAGES = 256  # for a whole run of bin/train: two steps a network, and whole validations and tests
MEMORY_SECONDS = 30  # for which h_θ learns from all images before its memory is read
OWN, PUBLISHED, TUNED = "i2p_tf", "PyTorch as published", "PyTorch tuned"
# How far losses of the same weights may differ, and in float32 what the first step changes them by, as shares.
LOSS_TOLERANCE = {"float32": 0.001, "mixed_bfloat16": 0.05, "mixed_float16": 0.05}
CHANGE_TOLERANCE = 0.1
MOST_MOVED = 1.2  # by which the machine's fastest matrix product in the rounds of a step may surpass the slowest
ATTEMPTS = 3  # at rounds in which it does not
# What processors say of themselves that decides how fast they multiply.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def main(arguments):
    """Measures, prints, writes."""
    if FLAGS.data_dir and not (pathlib.Path(FLAGS.data_dir) / "cifar10").is_dir():
        print(f"error: --data_dir={FLAGS.data_dir} has no folder cifar10", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the other processes would stay
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    results = {}
    if "steps" in FLAGS.part:
        results |= measure_steps()
    if "pipeline" in FLAGS.part:
        results["pipeline"] = measure_pipeline(results.get("steps", []))
    if "evaluation" in FLAGS.part:
        results["evaluation"] = measure_evaluation()
    for part, measure in (("start", measure_start), ("memory", measure_memory)):
        if part in FLAGS.part and not FLAGS.data_dir:
            print(f"\n{part}: needs --data_dir; not measured")
        elif part in FLAGS.part:
            results[part] = measure()
    if FLAGS.json:
        write_json(pathlib.Path(FLAGS.json), results)
    return 0


class Contender:
    """A `Steps` of `keras_steps` or `peers.torch_steps` in a process of its own.

    Attributes:
        name: for people.
        precision: in which it computes.
    """

    def __init__(self, name, precision, module, *arguments):
        self.name = name
        self.precision = precision
        self.pool = own_process(initializer=_begin, initargs=(module, *arguments))

    def call(self, method, *arguments):
        """What the method of its `Steps` returns."""
        return self.pool.submit(_call, method, *arguments).result()


def own_process(**options):
    """An executor with one process that shares nothing with this one."""
    return concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), **options)


def _begin(module, *arguments):
    global _steps
    _steps = importlib.import_module(module).Steps(*arguments)


def _call(method, *arguments):
    return getattr(_steps, method)(*arguments)


def measure_steps():
    """Prints a table; returns it with what it was measured on."""
    with contextlib.ExitStack() as stack:
        contenders, environment = start_contenders(stack)
        rows, products = [], {}
        for workload in quick_workloads() if FLAGS.quick else workloads():
            rows += measure_workload(workload, contenders, products)
    limits = {}
    for (name, precision), values in products.items():
        rate = statistics.median(values)
        limits[precision] = max(rate, limits.get(precision, 0.0))
        print(f"matrix product, {name:22} {precision:14} {rate / 1e9:8.1f} GFLOP/s")
    for row in rows:
        row["limit_images_per_second"] = limits[row["precision"]] / row["operations"]
    report(rows)
    return {"environment": environment, "rounds": rounds(), "limits": limits, "steps": rows}


def start_contenders(stack):
    """Their list, float32 of this project first, and the environment; prints the latter. `stack` ends the processes."""

    def start(*arguments):
        contender = Contender(*arguments)
        stack.callback(contender.pool.shutdown)
        return contender

    contenders = [start(OWN, "float32", "keras_steps", "float32")]
    environment = contenders[0].call("describe")
    best = environment["best_precision"]
    if best != "float32" and not FLAGS.quick:
        contenders.append(start(OWN, best, "keras_steps", best))
    packages = ", ".join(f"{name} {environment['packages'][name]}" for name in ("tensorflow", "keras", "numpy"))
    print(f"{environment['processor']}, {environment['cores']} cores, GPUs {environment['gpus']}, ", end="")
    print(f"commit {environment['commit']}, {packages}")
    print(f"best precision of this machine: {best}; oneDNN {environment['onednn']}; it has {', '.join(instructions())}")
    for precision in dict.fromkeys(("float32", best) if FLAGS.quick else ("float32", "mixed_bfloat16", best)):
        rate = max(contenders[0].call("product", FLAGS.matrix, precision) for _ in range(rounds()))
        print(f"matrix product in {precision:14} {rate / 1e9:8.1f} GFLOP/s")
    if FLAGS.peers and importlib.util.find_spec("torch"):
        contenders.append(start(PUBLISHED, "float32", "peers.torch_steps", False, "float32"))
        contenders.append(start(TUNED, best, "peers.torch_steps", True, best))
        environment["peer"] = contenders[-1].call("describe")
        print("torch {torch}, on {device}, {threads} threads".format(**environment["peer"]))
    elif FLAGS.peers:
        print("PyTorch is not installed: not measured")
    return contenders, environment


def instructions():
    """Those of `INSTRUCTIONS` that the processor has, by Linux's /proc, and what oneDNN is held to if it is."""
    try:
        has = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    except OSError:
        has = set()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return [name for name in INSTRUCTIONS if name in has] + ([f"oneDNN at most {limit}"] if limit else [])


def measure_workload(workload, contenders, products):
    """Rows of the table; adds the rates of matrix products to `products`."""
    batch_size = workload.recipe.batch_size
    print(f"{workload.name}, batch {batch_size} ...", file=sys.stderr, flush=True)
    rows = []
    for contender in contenders:
        if contender.name == OWN:
            start, operations = contender.call("build", workload)
        else:
            contender.call("build", workload, start)
        losses, how = contender.call("warm_up")
        check_losses(workload, contender, losses, rows[0]["losses"] if rows else losses)
        rows.append(
            {
                "step": workload.name,
                "batch_size": batch_size,
                "contender": contender.name,
                "precision": contender.precision,
                "how": how,
                "losses": losses,
                "operations": operations,
            }
        )
    moved = time_rounds(contenders, rows, products)
    for row in rows:
        row["machine_moved"] = moved
        rate = statistics.median(row["images_per_second"])
        print(f"  {row['contender']}, {row['precision']}: {rate:.1f} images/s", file=sys.stderr, flush=True)
    return rows


def time_rounds(contenders, rows, products):
    """Times all contenders in turn, again where the machine was not steady; by what factor its speed moved at last."""
    for attempt in range(1, ATTEMPTS + 1):
        rates = {(contender.name, contender.precision): [] for contender in contenders}
        for row in rows:
            row["images_per_second"] = []
        for _ in range(rounds()):
            for contender, row in zip(contenders, rows, strict=True):
                row["images_per_second"].append(contender.call("run", FLAGS.seconds))
                rates[contender.name, contender.precision].append(contender.call("product", FLAGS.matrix))
        for key, values in rates.items():
            products.setdefault(key, []).extend(values)
        moved = max(max(values) / min(values) for values in rates.values())
        if moved <= MOST_MOVED:
            break
        then = "again" if attempt < ATTEMPTS else "counted all the same"
        print(f"  the machine's own speed moved by a factor of {moved:.2f}: {then}", file=sys.stderr, flush=True)
    return moved


def check_losses(workload, contender, losses, expected):
    """Raises if a contender does not compute what the first one does: loss and, as the second loss tells, gradients."""
    same = math.isclose(losses[0], expected[0], rel_tol=LOSS_TOLERANCE[contender.precision])
    if contender.precision == "float32":  # others are too coarse for what one step changes
        changes = [second - first for first, second in (losses, expected)]
        same = same and math.isclose(*changes, rel_tol=CHANGE_TOLERANCE)
    if not same:
        raise RuntimeError(f"{workload.name}: losses of {contender.name} are {losses}, those of {OWN} {expected}")


def report(rows):
    """Prints the table, and adds ratios and shares to the rows."""
    print(f"\n{'':28} batch {'':35}  images/s  lowest highest  / published  / tuned  / limit")
    for row in rows:
        rates = row["images_per_second"]
        median = statistics.median(rates)
        row["share_of_limit"] = median / row["limit_images_per_second"]
        row["ratios"] = {name: ratio_to(name, row, rows) for name in (PUBLISHED, TUNED)}
        ratios = [f"{ratio:.2f}" if ratio else "" for ratio in row["ratios"].values()]
        print(f"{row['step']:28} {row['batch_size']:5} {row['contender']:20} {row['precision']:14} ", end="")
        print(f"{median:9.1f} {min(rates):7.1f} {max(rates):7.1f}  {ratios[0]:>11}  {ratios[1]:>7}", end="")
        unsteady = f"machine moved by {row['machine_moved']:.2f}" if row["machine_moved"] > MOST_MOVED else ""
        print(f"  {row['share_of_limit']:7.2f}  {row['how']} {unsteady}".rstrip())


def ratio_to(name, row, rows):
    """The median over the rounds of the ratio to a peer on the same step; None without that peer."""
    for peer in rows:
        if (peer["contender"], peer["step"], peer["batch_size"]) == (name, row["step"], row["batch_size"]):
            pairs = zip(row["images_per_second"], peer["images_per_second"], strict=True)
            return statistics.median(own / other for own, other in pairs)
    return None


def measure_pipeline(rows):
    """Prints the images a second of the input pipeline on one core, beside the fastest step's; returns them."""
    config = paper_two_cores("cifar10")
    batch_size = config.transform_recipe.batch_size
    images = 2_000 if FLAGS.quick else CIFAR10_IMAGES
    with own_process(initializer=_keep_to_one_core) as pool:
        settings = (images, batch_size, config.augmentation, rounds())
        rates = pool.submit(_call_function, "keras_steps", "pipeline_rates", *settings).result()
    print(f"\ninput pipeline, {config.augmentation}, batch {batch_size}, one core: ", end="")
    print(f"{statistics.median(rates):.0f} images/s ({min(rates):.0f}, {max(rates):.0f})")
    result = {"images": images, "batch_size": batch_size, "images_per_second": rates}
    if rows:
        fastest = max(statistics.median(row["images_per_second"]) for row in rows if row["contender"] == OWN)
        result["times_fastest_step"] = statistics.median(rates) / fastest
        print(f"that is {result['times_fastest_step']:.1f} times what the fastest step above consumes")
    return result


def _keep_to_one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _call_function(module, name, *arguments):
    return getattr(importlib.import_module(module), name)(*arguments)


def measure_evaluation():
    """Prints the seconds of an evaluation, beside those of the forward passes in it; returns them."""
    images = 2_000 if FLAGS.quick else TEST_IMAGES  # with fewer the evaluation computes in another way
    with own_process() as pool:
        seconds = pool.submit(_call_function, "keras_steps", "evaluation_seconds", images, rounds()).result()
    evaluation, forward = (statistics.median(values) for values in seconds)
    ratio = statistics.median(all_of_it / passes for all_of_it, passes in zip(*seconds, strict=True))
    print(f"\nevaluation of {images} images: {evaluation:.1f} s; forward passes as in a step {forward:.1f} s; ", end="")
    print(f"{ratio:.2f} times as long")
    return {"images": images, "seconds": seconds[0], "forward_seconds": seconds[1], "ratio": ratio}


def measure_start():
    """Prints the seconds from the call of bin/train to its first step; returns them."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(rounds()):
            began = time.perf_counter()
            with training(pathlib.Path(folder) / str(index)) as (_, output):
                wait_for(output, b"  step 1/")
                seconds.append(time.perf_counter() - began)
    print(f"\nstart of bin/train --dataset=cifar10 to its first step: {statistics.median(seconds):.1f} s ", end="")
    print(f"({min(seconds):.1f}, {max(seconds):.1f})")
    return {"seconds": seconds}


def measure_memory():
    """Prints the most memory that bin/train has resident; returns it."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        features, classifier = folder / "vgg.weights.h5", folder / "classifier.keras"
        with own_process() as pool:
            pool.submit(_call_function, "keras_steps", "write_random_features", features).result()
            pool.submit(_call_function, "keras_steps", "write_brief_classifier", classifier, FLAGS.data_dir).result()
        paper = "--preset=paper_two_cores", f"--feature_weights={features}"
        with training(folder / "all", *paper, f"--classifier_path={classifier}") as (process, output):
            wait_for(output, b"transform 1/")
            time.sleep(5 if FLAGS.quick else MEMORY_SECONDS)
            process.terminate()
            peaks["transform, all images"] = most_resident(process, output)
        with training(folder / "few", *paper, f"--training_images={FEW_IMAGES}", "--epochs=1") as (process, output):
            peaks[f"whole run, {FEW_IMAGES} images"] = most_resident(process, output)
    print("\nmost resident memory of bin/train --dataset=cifar10: ", end="")
    print(", ".join(f"{name}: {peak / 2**30:.2f} GiB" for name, peak in peaks.items()))
    return {"resident_bytes": peaks}


@contextlib.contextmanager
def training(run_dir, *options):
    """bin/train on CIFAR-10, and what it writes to a terminal, where its steps show; stopped at the end."""
    command = [ROOT / "bin/train", "--dataset=cifar10", f"--data_dir={FLAGS.data_dir}", f"--run_dir={run_dir}"]
    own_environment = {"VIRTUAL_ENV": sys.prefix} if sys.prefix != sys.base_prefix else {}
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [*command, *options],
        env=os.environ | own_environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=its_end,
    )
    os.close(its_end)
    with open(terminal, "rb", buffering=0) as output:
        try:
            yield process, output
        finally:
            if process.returncode is None:
                process.terminate()
                most_resident(process, output)


def wait_for(output, text):
    """Reads until `text` has been written, or to the end if it is None."""
    seen = b""
    with contextlib.suppress(OSError):  # which a terminal raises when its other end is closed
        while text is None or text not in seen:
            read = output.read(4096)
            seen += read
            if not read:
                break
    if text is not None and text not in seen:
        raise RuntimeError(f"bin/train ended before its first step: {seen.decode(errors='replace')[-500:]}")


def most_resident(process, output):
    """Reads what a process still writes, waits for its end, and returns the most bytes it had in memory."""
    wait_for(output, None)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 128 + signal.SIGTERM):
        raise RuntimeError(f"bin/train ended with {process.returncode}")
    return usage.ru_maxrss * 1024


def rounds():
    """How many there are."""
    return 1 if FLAGS.quick else FLAGS.rounds


if __name__ == "__main__":
    app.run(main)
