"""The flag of commands that protect pictures: which export they take the transformation network of."""

import pathlib

from absl import flags

from i2p_tf import drawing
from i2p_tf.cli import aliases
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError

EXPORTS = pathlib.Path("exports")


def define(flag_values: flags.FlagValues) -> None:
    """Defines --export, which once was --transform, and --bits."""
    help_text = "folder that bin/export has written, or a .tflite file in it; the only one in exports/ if not given"
    flags.DEFINE_string("export", None, help_text, flag_values=flag_values)
    aliases.define("transform", "export", flag_values)
    allowed = ", ".join(map(str, drawing.BITS))
    help_text = f"for a code: how many bits of a picture are sent, {allowed}; what the export says if not given"
    flags.DEFINE_integer("bits", None, help_text, flag_values=flag_values)


def find(given: str | None) -> pathlib.Path:
    """Path of the export, or of the .tflite file, that --export gives; else of the only export there is."""
    if given:
        return pathlib.Path(given)
    bundles = sorted(manifest.parent for manifest in EXPORTS.glob(f"*/{MANIFEST}"))
    if len(bundles) == 1:
        return bundles[0]
    found = f"allowed here: {', '.join(map(str, bundles))}" if bundles else "bin/export writes one"
    raise InputError(f"--export is missing: the folder of bin/export, or a .tflite file; {found}")
