"""Memory of a training on pictures that stay in their files: it must not grow with their number.

  python benchmarks/streaming.py --pictures=100000 --folder=/tmp/pictures100k
  python benchmarks/streaming.py --pictures=1000000 --folder=/tmp/pictures1m

Makes pictures of 96x96 in TFRecord files of 20,000, JPEG of about 1 kB each, unless the folder has them already; then,
in a process of its own, finds them, and trains a small classifier for some steps. Prints one line of JSON: peak memory
before the data, with their index, and after the training, in MiB, and seconds.
"""

import json
import pathlib
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags

from i2p_tf.moving_line import MovingLine

FLAGS = flags.FLAGS
flags.DEFINE_integer("pictures", 1000, "how many to make, at least 100", lower_bound=100)
flags.DEFINE_integer("steps", 300, "of the training, at least 1", lower_bound=1)
flags.DEFINE_integer("batch_size", 64, "pictures a step", lower_bound=1)
flags.DEFINE_string("folder", None, "where the pictures are, or are put", required=True)
flags.DEFINE_boolean("train_only", False, "what the process of its own is asked for")
SIZE, CLASSES, SHARD = 96, 10, 20_000


def make(folder, count, line):
    """Pictures of a colour that says the class, with shades of their own."""
    import io

    import tensorflow as tf
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    random, waiting = np.random.default_rng(0), line.wait("making pictures", count)
    for first in range(0, count, SHARD):
        unfinished = folder / "unfinished"
        with tf.io.TFRecordWriter(str(unfinished)) as writer:
            for number in range(first, min(first + SHARD, count)):
                shades = random.integers(0, 128, (3, 3, 3)) + 127 * np.eye(3)[number % CLASSES % 3]
                image = Image.fromarray(shades.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
                image.save(file := io.BytesIO(), "JPEG")
                feature = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.getvalue()])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % CLASSES])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
                waiting.step()
        unfinished.rename(folder / f"train-{first // SHARD:05d}.tfrecord")


def train(folder, steps, batch_size):
    """Peak memory at three moments, and seconds between them."""
    import keras
    from keras import layers

    from i2p_tf.data import dataset, pipeline, sources
    from i2p_tf.objectives.trainer import ClassifierTrainer
    from i2p_tf.recipe import Recipe
    from i2p_tf.training.fit import compile_trainer

    dataset.MOST_BYTES = 0  # few pictures stay in their files too
    started, libraries = time.perf_counter(), peak()
    found = sources.load(f"tfrecord:{folder}", stored=True, line=MovingLine())
    indexed, index = time.perf_counter(), peak()
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(16, 3, strides=4, activation="relu")(images)
    trainer = ClassifierTrainer(keras.Model(images, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))))
    compile_trainer(trainer, Recipe(1, batch_size, 0.01), steps)
    done = 0
    while done < steps:
        batches = pipeline.training_pipeline(found.train, batch_size, 0, "flip_crop", done).take(steps - done)
        done += len(batches)
        trainer.fit(batches, shuffle=False, verbose=0)
    return {
        "pictures": sum(len(split.labels) for split in (found.train, found.validation, found.test)),
        "steps": steps,
        "peak_mib": {"libraries": libraries, "index": index, "training": peak()},
        "seconds": {"index": round(indexed - started, 1), "training": round(time.perf_counter() - indexed, 1)},
    }


def peak():
    """Most that this process has had resident, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def main(_):
    """Makes what is missing, and starts the process that trains."""
    folder = pathlib.Path(FLAGS.folder)
    if FLAGS.train_only:
        print(json.dumps(train(folder, FLAGS.steps, FLAGS.batch_size)))
        return 0
    if len(list(folder.glob("train-*.tfrecord"))) < -(-FLAGS.pictures // SHARD):
        make(folder, FLAGS.pictures, MovingLine())
    return subprocess.run([sys.executable, *sys.argv, "--train_only"], check=False).returncode


if __name__ == "__main__":
    app.run(main)
