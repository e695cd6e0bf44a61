"""What a trained pair of ψ and h_θ, or of ψ and a keyed method, does on the test images.

Everything is measured on the 8-bit images that travel.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from i2p_tf import chance, confidence, drawing, inference, picture_grid
from i2p_tf.channels.arrivals import arrivals
from i2p_tf.channels.table import measured
from i2p_tf.data.dataset import Dataset, Split
from i2p_tf.files import write_atomically, write_json
from i2p_tf.hints import Network, Values
from i2p_tf.models import cost
from i2p_tf.models.reader import WITH_READER, readers
from i2p_tf.models.transforms import codebook
from i2p_tf.moving_line import MovingLine
from i2p_tf.provenance import provenance
from i2p_tf.results import OF_ATTACKS, SCHEMA, channels, summary
from i2p_tf.run_dir import RunDir

PARTS = 4 + len(measured())  # of an evaluation: protection, distances, two kinds of images, channels
SIZED = 1_000  # test images whose PNG files are measured


def evaluate_run(run_dir: RunDir, dataset: Dataset, line: MovingLine) -> Values:
    """Evaluates what `run_dir` has trained and writes results.json, samples.png and, of a codebook, codewords.png.

    What other commands have put into results.json stays, unless they attacked other networks than these.

    Args:
        run_dir: a `RunDir` with both networks.
        dataset: the `data.dataset.Dataset` of the run; its test split is used.
        line: a `moving_line.MovingLine` that says how far it is.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if a network or the key is missing or can't be read.
    """
    results, protected, transform = _measure_run(run_dir, dataset, line)
    results = _still_true(run_dir.read_results(), run_dir.network_digests()) | results | provenance(run_dir)
    if "codewords" in results:
        with write_atomically(run_dir.codewords) as temporary:
            picture_grid.save(temporary, inference.to_uint8(codebook.codewords(transform)[: confidence.MOST_CLASSES]))
    write_json(run_dir.results, results)
    with write_atomically(run_dir.samples) as temporary:
        picture_grid.save(temporary, dataset.test.images[: picture_grid.SAMPLES], protected[: picture_grid.SAMPLES])
    return results


def results_of(run_dir: RunDir, dataset: Dataset, line: MovingLine) -> Values:
    """As `evaluate_run`, without what is written, and without what other commands have measured."""
    results, _, _ = _measure_run(run_dir, dataset, line)
    return results


def _measure_run(run_dir, dataset, line):
    """What of results.json an evaluation measures, the protected test images, and h_θ, if there is one."""
    config = run_dir.load_config()
    classifier = inference.load_reading_classifier(run_dir, dataset.num_classes)
    line.say(f"evaluating {len(dataset.test.labels)} test images")
    waiting = line.wait("evaluating, part", PARTS)
    protected = inference.load_protection(run_dir, config, dataset.image_size)(dataset.test.images)
    waiting.step()
    transform = None if config.encryption else inference.load_network(run_dir.transform)
    results: Values = {"schema": SCHEMA}
    results |= measure(classifier, dataset.test, dataset.class_names, protected, waiting.step)
    if config.encryption:
        results["at_chance"].pop("plain")  # of which the classifier knows nothing, and need not
    results["cost"] = costs(classifier, transform)
    if config.has_reader:
        results["bits"] = config.bits
        results["accuracy_by_bits"] = _by_bits(
            classifier, inference.protect(transform, dataset.test.images), dataset.test
        )
    if config.sends_codewords:
        results["codewords"] = dataset.num_classes
    return results, protected, transform


def measure(
    classifier: Network,
    test: Split,
    class_names: Sequence[str],
    protected: np.ndarray,
    step: Callable[[], None] = lambda: None,
) -> Values:
    """All parts of results.json that need no network but ψ.

    Args:
        classifier: ψ.
        test: a `data.dataset.Split`.
        class_names: of its labels.
        protected: uint8, the protected test images.
        step: called after each part that takes time, `PARTS` without the protection itself.
    """
    with arrivals(protected) as arriving:
        values = inference.visual_distance(protected, test.images)
        step()
        seen = {"plain": test.images, "protected": protected}
        answers = {}
        for kind, images in seen.items():
            answers[kind] = inference.logits(classifier, images)
            step()
        accuracy = {name: float(np.mean(answer.argmax(axis=1) == test.labels)) for name, answer in answers.items()}
        unchanged = accuracy["protected"]
        after = _after_channels(classifier, arriving, protected, test.labels, unchanged, step)
    return {
        "accuracy": accuracy | {"n": len(test.labels)},
        "at_chance": _at_chance(answers, test.labels, len(class_names)),
        **_certainty(answers, test.labels, class_names),
        "channels": after | {"n": len(test.labels)},
        "protection": {name: summary(array) for name, array in values.items()} | {"n": len(test.labels)},
        "bytes": {
            "raw": test.images[0].nbytes,
            "plain_png": png_bytes(test.images[:SIZED]),
            "protected_png": png_bytes(protected[:SIZED]),
            "n": len(test.images[:SIZED]),
        },
    }


def _at_chance(answers, labels, classes):
    """The part `at_chance` of results.json."""
    found = {kind: chance.is_at_chance(answer.argmax(axis=1), labels, classes) for kind, answer in answers.items()}
    return found | {"chance": 1.0 / classes}


def _certainty(answers, labels, class_names):
    """The part `confidence` of results.json and, where there are not too many classes, `confusion`."""
    measured = {
        name: confidence.confidence(confidence.probabilities(answer), labels) for name, answer in answers.items()
    }
    parts = {"confidence": measured | {"n": len(labels)}}
    if len(class_names) <= confidence.MOST_CLASSES:
        counts = {
            name: confidence.confusion(answer.argmax(axis=1), labels, len(class_names)).tolist()
            for name, answer in answers.items()
        }
        parts["confusion"] = {"classes": list(class_names)} | counts | {"n": len(labels)}
    return parts


def _after_channels(classifier, arriving, protected, labels, unchanged, step=lambda: None):
    """ψ's accuracy on what `arrivals` gives of protected images; `unchanged` where all arrive as they were sent."""
    accuracy = {}
    for name, arrived in arriving:
        same = np.array_equal(arrived, protected)
        accuracy[name] = unchanged if same else _accuracy(classifier, arrived, labels)
        step()
    return accuracy


def _by_bits(classifier, drawings, test):
    """The accuracy after a client has cut the drawings of whole codes to each number of bits, and n."""
    accuracy = {str(bits): _accuracy(classifier, drawing.cut(drawings, bits), test.labels) for bits in drawing.BITS}
    return accuracy | {"n": len(test.labels)}


def _accuracy(classifier, images, labels):
    return float(np.mean(inference.classify(classifier, images) == labels))


def costs(classifier: Network, transform: Network | None) -> Values:
    """The part `cost` of results.json: MACs of one image, None where they are unknown, and parameters.

    Args:
        classifier: ψ, with its adaptation network, or with the reader of codes, where it has one.
        transform: h_θ; None for a keyed method, which multiplies nothing.
    """
    networks = {"transform": transform, "classifier": classifier}
    if classifier.name == WITH_READER:
        networks |= readers(classifier)
    counted = ((cost.macs, "macs"), (cost.parameters, "parameters"))
    return {
        f"{name}_{what}": count(network) if network else 0
        for count, what in counted
        for name, network in networks.items()
    }


def png_bytes(images: np.ndarray) -> float:
    """Mean size of uint8 images as PNG files, as `bin/protect` writes and sends them."""
    return float(np.mean([_png_size(image) for image in images]))


def table(results: Values) -> str:
    """The results as lines for a terminal."""
    accuracy, protection, costs = results["accuracy"], results["protection"], results["cost"]
    rows = [
        ("accuracy on plain images", f"{accuracy['plain']:.4f}", f"n = {accuracy['n']}"),
        ("accuracy on protected images", f"{accuracy['protected']:.4f}", f"n = {accuracy['n']}"),
    ]
    rows += _certainty_rows(results["confidence"])
    if by_bits := results.get("accuracy_by_bits"):
        reached = [f"{by_bits[bits]:.4f} of {bits}" for bits in by_bits if bits != "n"]
        rows.append((f"  of {results['bits']} bits; others:", "", ", ".join(reached)))
    n = results["channels"]["n"]
    rows += [(f"  after {name}", f"{reached:.4f}", f"n = {n}") for name, reached in channels(results).items()]
    for name, unit in (("ssim", "SSIM"), ("psnr", "PSNR [dB]")):
        values = protection[name]
        spread = f"median {values['median']:.3f}, p95 {values['p95']:.3f}, max {values['max']:.3f}"
        rows.append((f"{unit}, protected against plain", f"{values['mean']:.3f}", spread))
    for network in ("transform", "classifier", "reader"):
        if f"{network}_parameters" not in costs:
            continue
        macs, parameters = costs[f"{network}_macs"], costs[f"{network}_parameters"]
        mmacs = "unknown" if macs is None else f"{macs / 1e6:.1f}"
        rows.append((f"{network}, million MACs an image", mmacs, f"{parameters:,} parameters"))
    sizes = results["bytes"]
    rows.append(("PNG file, bytes, protected", f"{sizes['protected_png']:.0f}", f"plain {sizes['plain_png']:.0f}"))
    width = max(len(row[0]) for row in rows)
    lines = [f"{name:<{width}}  {value:>8}  {note}" for name, value, note in rows]
    if words := results.get("codewords"):
        lines.append(
            f"one of {words} fixed pictures is sent: the accuracy on protected images is the device's own, and their "
            "probabilities are constants, which carry no confidence"
        )
    return "\n".join(lines)


def closing(run_dir: RunDir, results: Values) -> str:
    """What stands below `table`: where everything is, and what has gone wrong."""
    places = [f"pictures: {run_dir.samples}", f"numbers:  {run_dir.results}"]
    return "\n".join(places + [f"warning: {line}" for line in chance.warnings(results)])


def _certainty_rows(measured):
    rows = []
    for kind in ("plain", "protected"):
        values = measured[kind]
        rejection = ", ".join(f"{accuracy:.4f} of {share}" for share, accuracy in values["rejection"].items())
        note = f"accuracy of the most confident: {rejection}"
        rows.append((f"expected calibration error, {kind}", f"{values['expected_calibration_error']:.4f}", note))
        if "accuracy_top5" in values:
            rows.append((f"top-5 accuracy, {kind}", f"{values['accuracy_top5']:.4f}", f"n = {measured['n']}"))
    return rows


def _still_true(results, networks):
    """Former results without attacks on other networks."""
    attacked = results.get("attack_suite", {}).get("networks", networks)
    return results if attacked == networks else {name: results[name] for name in results if name not in OF_ATTACKS}


def _png_size(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG", compress_level=1)
    return file.tell()
