"""How commands find the transformation network and load it."""

import contextlib
import os
import pathlib
import sys

from i2p_tf.client import transform
from i2p_tf.errors import InputError

EXPORTS = pathlib.Path("exports")


def find(given):
    """Path of the export, or of the .tflite file, that --transform gives; else of the only export there is."""
    if given:
        return pathlib.Path(given)
    bundles = sorted(manifest.parent for manifest in EXPORTS.glob(f"*/{transform.MANIFEST}"))
    if len(bundles) == 1:
        return bundles[0]
    found = f"allowed here: {', '.join(map(str, bundles))}" if bundles else "bin/export writes one"
    raise InputError(f"--transform is missing: the folder of bin/export, or a .tflite file; {found}")


def load(path, variant="float32", threads=None):
    """As `client.transform.load`, without what LiteRT tells stderr about its delegate, for which it has no setting."""
    with _quiet():
        return transform.load(path, variant, threads)


@contextlib.contextmanager
def _quiet():
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
