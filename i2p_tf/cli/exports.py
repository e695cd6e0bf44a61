"""How commands find the transformation network."""

import pathlib

from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError

EXPORTS = pathlib.Path("exports")


def find(given: str | None) -> pathlib.Path:
    """Path of the export, or of the .tflite file, that --export gives; else of the only export there is."""
    if given:
        return pathlib.Path(given)
    bundles = sorted(manifest.parent for manifest in EXPORTS.glob(f"*/{MANIFEST}"))
    if len(bundles) == 1:
        return bundles[0]
    found = f"allowed here: {', '.join(map(str, bundles))}" if bundles else "bin/export writes one"
    raise InputError(f"--export is missing: the folder of bin/export, or a .tflite file; {found}")
