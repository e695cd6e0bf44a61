"""Drawings of codes: does each arrive as it was sent, through files of every kind?

  .venv/bin/python benchmarks/drawings.py --run_dir=runs/cifar10_code --data_dir=DIR --pictures=10000

Protects test pictures by the run's h_θ, cuts each drawing to every number of bits, sends it through a real file of each
channel, and reads it as the network in the cloud does. A drawing has arrived if all elements are as they were sent and
it passes for a drawing. Exit code 1 if one has not.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("run_dir", None, "run directory of a code", required=True)
flags.DEFINE_string("data_dir", None, "where its data are now, if they have moved")
flags.DEFINE_integer("pictures", 10_000, "test pictures, from the first on", lower_bound=1)

BATCH = 500


def main(arguments):
    """Prints a line for each number of bits and channel; 1 if a drawing has not arrived as it was sent."""
    from i2p_tf import drawing, inference
    from i2p_tf.channels import table
    from i2p_tf.cli import app as cli_app
    from i2p_tf.cli import run_data
    from i2p_tf.data import sources
    from i2p_tf.environment import describe_environment
    from i2p_tf.run_dir import RunDir

    run_dir = RunDir(FLAGS.run_dir)
    config = run_data.located(run_dir, cli_app.finished_config(run_dir), FLAGS.data_dir)
    pictures = sources.load_for(config).test.images[: FLAGS.pictures]
    whole = inference.protect(inference.load_network(run_dir.transform), pictures)
    damaged = 0
    for bits in drawing.BITS:
        drawings = drawing.cut(whole, bits)
        for name, channel in table.measured().items():
            lost = _lost(drawings, channel)
            damaged += lost
            print(f"{bits:3} bits, {name}: {len(drawings) - lost} of {len(drawings)} as they were sent", flush=True)
    environment = describe_environment()
    print(f"{environment['processor']}, commit {environment['commit']}")
    return 1 if damaged else 0


def _lost(drawings, channel):
    """How many drawings don't arrive as they were sent."""
    from i2p_tf import drawing
    from i2p_tf.models.layers.drawing import ReadCode, is_drawing
    from i2p_tf.tradeoff import codes

    read, lost = ReadCode(), 0
    for start in range(0, len(drawings), BATCH):
        some = drawings[start : start + BATCH]
        arrived = np.float32([channel(picture) for picture in some]) / 255
        code = drawing.read(some)
        sent = codes.sent(code, np.sum(code >= 0, axis=1))
        same = np.all(np.abs(np.asarray(read(arrived)) - sent) < 1e-5, axis=1)
        lost += int(np.sum(~(same & np.asarray(is_drawing(arrived)))))
    return lost


if __name__ == "__main__":
    app.run(main)
