"""The model card of a bundle: what it is for, how it was made, what was measured, and what it is not."""

import json

from i2p_tf import concepts, confidence
from i2p_tf.config import Config
from i2p_tf.data import sources
from i2p_tf.results import channels, value


def card(manifest: dict, config: Config, results: dict) -> str:
    """The card as Markdown.

    Args:
        manifest: contents of manifest.json.
        config: the `Config` of the run.
        results: contents of results.json of the run, of its present networks; may lack any part.
    """
    parts = (_purpose(manifest, config), _variants(manifest), _measured(results), _making(manifest, config), _limits())
    return "\n\n".join(filter(None, parts)) + "\n"


def table(manifest: dict) -> list[str]:
    """The variants as lines for a terminal, and as the table of the card."""
    rows = [("variant", "kB", "ms", "PSNR [dB]", "accuracy")]
    for name, entry in manifest["variants"].items():
        psnr = "exact" if entry["psnr_to_float32"] is None else f"{entry['psnr_to_float32']:.1f}"
        kilobytes, milliseconds = f"{entry['bytes'] / 1000:.0f}", f"{entry['milliseconds']:.2f}"
        rows.append((name, kilobytes, milliseconds, psnr, f"{entry['parity']['accuracy']:.4f}"))
    return _aligned(rows)


def _purpose(manifest, config):
    keras, networks = manifest["keras"], manifest["networks"]
    nature = config.rows()["transform"].card
    data = manifest["dataset"]
    trained = f"the first trained on {data}, the second given" if config.classifier_path else f"both trained on {data}"
    return f"""# {manifest["name"]}

A transformation network for the device ({networks["transform"]}) and the classifier for the cloud that reads what it
sends ({networks["classifier"]}), {trained}. The classifier reads plain images as well.

{nature.format(words=len(manifest["class_names"]), bits=config.parameters.get("bits"))}

**Intended use:** to try the package, and to compare with; to classify pictures like those of {manifest["dataset"]}.
Whatever the picture shows, one of the classes is the answer.

- Images: RGB, {manifest["image_size"]}x{manifest["image_size"]}; larger pictures are made to fit by the rule
  {manifest["resize_rule"]!r}.
- Classes: {", ".join(manifest["class_names"])}.
- Accuracy of the classifier on plain images {keras["accuracy_plain"]:.4f}, on protected ones
  {keras["accuracy_protected"]:.4f} (Keras,
  {keras["n"]:,} test images)."""


def _variants(manifest):
    lines = []
    if manifest["variants"]:
        note = (
            f"Milliseconds: median of one image on one core of {manifest['environment']['processor']}. PSNR: of the "
            "protected image to that of the Keras model. Accuracy: of the classifier on images that the variant "
            f"protected (n = {manifest['keras']['n']:,})."
        )
        lines += ["## Variants", "\n".join(table(manifest)), note]
    if manifest["saved_models"]:
        lines.append(f"Newest version of the classifier: {manifest['saved_models']['classifier']['version']}.")
    return "\n\n".join(lines)


def _measured(results):
    """What bin/evaluate and bin/attack have measured on the run."""
    rows = []
    if "accuracy" in results:
        accuracy, n = results["accuracy"], results["accuracy"]["n"]
        rows += [(f"accuracy, {kind} images", f"{accuracy[kind]:.4f}", n) for kind in ("plain", "protected")]
    if "confidence" in results:
        rows += [row for kind in ("plain", "protected") for row in _confidence(results["confidence"], kind)]
    if "confusion" in results:
        rows += [_lowest_class(results["confusion"], kind) for kind in ("plain", "protected")]
    if "channels" in results:
        n = results["channels"]["n"]
        rows += [
            (f"accuracy, protected, after {name}", f"{accuracy:.4f}", n) for name, accuracy in channels(results).items()
        ]
    if "cost" in results:
        costs = results["cost"]
        known = costs["classifier_macs"] is not None
        share = f"{costs['transform_macs'] / costs['classifier_macs']:.2f}" if known else "unknown"
        rows.append(("cost of the transformation, share of the classifier's MACs", share, ""))
    if "attack_suite" in results:
        rows += _attacked(results)
    if not rows:
        return ""
    rows = [(name, value, f"{n:,}" if n else "") for name, value, n in rows]
    return "\n\n".join(["## Measured", "\n".join(_aligned([("figure", "value", "n"), *rows]))])


def _confidence(measured, kind):
    values, n = measured[kind], measured["n"]
    rows = [(f"expected calibration error, {kind} images", f"{values['expected_calibration_error']:.4f}", n)]
    if "accuracy_top5" in values:
        rows.append((f"top-5 accuracy, {kind} images", f"{values['accuracy_top5']:.4f}", n))
    shares = ", ".join(f"{accuracy:.4f} of {share}" for share, accuracy in values["rejection"].items())
    return [*rows, (f"accuracy on the most confident {kind} images", shares, n)]


def _lowest_class(confusion, kind):
    """The class that is read least often, of those that there are images of."""
    shares = confidence.accuracy_by_class(confusion[kind])
    lowest, index = min((share, index) for index, share in enumerate(shares) if share is not None)
    return (
        f"lowest accuracy of a class, {kind} images",
        f"{lowest:.4f} ({confusion['classes'][index]})",
        sum(confusion[kind][index]),
    )


def _attacked(results):
    suite = results["attack_suite"]
    valid = "all sanity checks behave" if suite["valid"] else "NOT VALID: a sanity check misbehaves"
    rows = [(f"attacks: suite {suite['name']}", valid, "")]
    for metric, title in (("ssim", "reconstructed, SSIM mean"), ("reidentification_top1", "re-identification top-1")):
        best = suite["strongest"][metric]
        text = f"{best['value']:.4f} ({best['attack']})"
        rows.append((f"{title}, strongest attack", text, results["attacks"][best["attack"]]["n"]))
        for name in ("label_only", "mean_image"):
            baseline = results["prior_only"][name]
            rows.append((f"{title}, prior-only baseline {name}", f"{value(baseline, metric):.4f}", baseline["n"]))
    if linked := results.get("linkage"):
        rows.append(("two views of one picture linked, top-1", f"{linked['protected']['top1']:.4f}", linked["n"]))
    return rows


def _making(manifest, config):
    environment = manifest["environment"]
    places = ("data_dir", *concepts.paths())  # on the computer of whoever trained
    settings = {name: value for name, value in config.to_json().items() if name not in places}
    settings["dataset"] = manifest["dataset"]  # a folder's without its path
    named = config.dataset.partition(":")[0] in sources.SOURCES  # else it was arrays in Python
    command = f"bin/train --dataset={manifest['dataset']}" if named else "i2p_tf.fit"
    return f"""## How it was made

`{command}` with the settings below, then `{"bin/export" if named else "i2p_tf.export"}`; run {manifest["run_id"]},
exported with i2p_tf {environment["i2p_tf"]}, commit {environment["commit"]}.

```json
{json.dumps(settings, indent=2)}
```"""


def _limits():
    return """## What it is not

It is neither encryption nor anonymisation. Whoever holds the classifier reads the class, and whoever holds the
transformation network can find out what any picture is turned into. Nothing is measured on pictures unlike the test
images. See docs/threat_model.md."""


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [f"| {line} |" for line in [lines[0], " | ".join("-" * width for width in widths), *lines[1:]]]
