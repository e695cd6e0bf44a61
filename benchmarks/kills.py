"""Trainings that are killed at random moments: does each end in the bits of one that was left alone?

  python benchmarks/kills.py --folder=FOLDER
  python benchmarks/kills.py --folder=FOLDER --kills=50 --kills_each=5

Trains once without interruption. Then trains again and again in new run directories; each training is killed (SIGKILL)
`--kills_each` times at random moments, goes on with the same command, and is compared: every weight of both networks,
every epoch but for its seconds, and the results. What is done is kept in the folder: the same command goes on.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import h5py
from absl import app, flags

from i2p_tf.environment import describe_environment
from i2p_tf.files import write_json

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_string("folder", None, "where the trainings and what is done lie")
flags.DEFINE_integer("kills", 50, "SIGKILLs in all")
flags.DEFINE_integer("kills_each", 5, "SIGKILLs of each training")

TRAINING = ("--dataset=digits", "--preset=smoke", "--feature_weights=classifier", "--precision=float32", "--epochs=3")
NETWORKS = ("classifier", "transform")


def main(arguments):
    """Trains, kills, compares, prints a line for each training; 1 if one differs."""
    folder = pathlib.Path(FLAGS.folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "kills.json"
    done = json.loads(state.read_text()) if state.is_file() else {"seconds": None, "trainings": []}
    expected = folder / "expected"
    if done["seconds"] is None:
        shutil.rmtree(expected, ignore_errors=True)
        done["seconds"] = train(expected)
        write_json(state, done)
    print(f"{describe_environment()['processor']}; left alone, a training takes {done['seconds']:.0f} s")
    for number in range(len(done["trainings"]), -(-FLAGS.kills // FLAGS.kills_each)):
        done["trainings"].append(killed_training(folder / f"killed_{number}", expected, number, done["seconds"]))
        write_json(state, done)
        print(f"{number + 1}: {json.dumps(done['trainings'][-1])}", flush=True)
    kills = sum(len(training["killed_after_seconds"]) for training in done["trainings"])
    different = [training for training in done["trainings"] if training["differs"]]
    print(f"{kills} SIGKILLs in {len(done['trainings'])} trainings; {len(different)} ended otherwise")
    return 1 if different else 0


def train(run_dir, seconds=None):
    """Trains to the end, or kills the training after so many seconds.

    Returns the seconds that it took, or None if it was killed.
    """
    started = time.monotonic()
    command = [ROOT / "bin/train", *TRAINING, f"--run_dir={run_dir}"]
    with open(run_dir.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
    if process.returncode:
        raise RuntimeError(f"a training ended with {process.returncode}; see {log.name}")
    return time.monotonic() - started


def killed_training(run_dir, expected, seed, longest):
    """One training with its kills; its moments and what of it differs from the one left alone."""
    shutil.rmtree(run_dir, ignore_errors=True)
    generator, killed = random.Random(seed), []
    while len(killed) < FLAGS.kills_each:
        seconds = generator.uniform(0, longest)
        if train(run_dir, seconds) is not None:  # it had ended before: what remains is done to another one
            shutil.rmtree(run_dir)
            continue
        killed.append(round(seconds, 2))
    train(run_dir)
    differs = differences(run_dir, expected)
    if not differs:
        shutil.rmtree(run_dir)
    return {"seed": seed, "killed_after_seconds": killed, "differs": differs}


def differences(mine, theirs):
    """Names of what is not bit-equal in two run directories."""
    names = [name for name in NETWORKS if weights(mine / f"{name}.keras") != weights(theirs / f"{name}.keras")]
    readers = {"metrics.jsonl": epochs, "results.json": lambda path: json.loads(path.read_text())}
    return names + [name for name, read in readers.items() if read(mine / name) != read(theirs / name)]


def weights(path):
    """All arrays of a .keras file, as bytes by name."""
    arrays = {}
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as tree:
        tree.visititems(
            lambda name, item: arrays.update({name: item[()].tobytes()}) if hasattr(item, "shape") else None
        )
    return arrays


def epochs(path):
    """The lines of metrics.jsonl without their seconds."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


if __name__ == "__main__":
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    flags.mark_flag_as_required("folder")
    app.run(main)
