"""What a trained pair of ψ and h_θ, or of ψ and a keyed method, does on the test images.

Everything is measured on the 8-bit images that travel.
"""

import functools
import io

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from i2p_tf import confidence, encryption, key_file, metrics
from i2p_tf.channels.table import measured
from i2p_tf.errors import InputError
from i2p_tf.models import cost
from i2p_tf.models.classifiers.own import import_custom_objects
from i2p_tf.models.transforms import codebook
from i2p_tf.run_dir import RESULTS_SCHEMA, RunDir, write_atomically, write_json

MOST_PIXELS = 500 * 32**2  # of a batch
GRAPH_BATCHES = 4  # so many batches repay that a network is compiled to one graph
SAMPLES = 10
OF_ATTACKS = ("attacks", "floors", "linkage", "brute_force", "attribute_inference", "attack_suite")
SIZED = 1_000  # test images whose PNG files are measured
SAMPLE_PIXELS = 96  # height and width of a picture in samples.png


def evaluate_run(run_dir, dataset, say):
    """Evaluates what `run_dir` has trained and writes results.json, samples.png and, of a codebook, codewords.png.

    What other commands have put into results.json stays, unless they attacked other networks than these.

    Args:
        run_dir: a `RunDir` with both networks.
        dataset: the `data.sources.Dataset` of the run; its test split is used.
        say: called with each line of progress.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if a network or the key is missing or can't be read.
    """
    config = run_dir.load_config()
    classifier = load_classifier(run_dir.classifier, dataset.num_classes)
    say(f"evaluating {len(dataset.test.labels)} test images")
    protected = load_protection(run_dir, config, dataset.image_size)(dataset.test.images)
    transform = None if config.encryption else load_network(run_dir.transform)
    results = _still_true(run_dir.read_results(), run_dir.network_digests())
    results |= {"schema": RESULTS_SCHEMA} | measure(classifier, dataset.test, dataset.class_names, protected)
    results["cost"] = costs(classifier, transform)
    if config.sends_codewords:
        results["codewords"] = dataset.num_classes
        with write_atomically(run_dir.codewords) as temporary:
            save_samples(temporary, to_uint8(codebook.codewords(transform)[: confidence.MOST_CLASSES]))
    write_json(run_dir.results, results)
    with write_atomically(run_dir.samples) as temporary:
        save_samples(temporary, dataset.test.images[:SAMPLES], protected[:SAMPLES])
    return results


def load_network(path):
    """A network of a run, for inference; `InputError` says what is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; bin/train with --run_dir={path.parent} finishes the run")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged file made it stumble over
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged ({reason}); delete it, and bin/train makes it again") from error


def load_classifier(path, num_classes):
    """ψ of a run, as `load_network`; `InputError` if it knows another number of classes than the data have."""
    config = RunDir(path.parent)
    if config.config.is_file() and (module := config.load_config().custom_objects):
        import_custom_objects(module)
    classifier = load_network(path)
    if classifier.output_shape[-1] != num_classes:
        raise InputError(f"{path} knows {classifier.output_shape[-1]} classes, and the data have {num_classes}")
    return classifier


def load_protection(run_dir, config, image_size):
    """What a run does to pictures before they travel: a function of uint8 images to uint8 images.

    That is h_θ, or the keyed method of `config.encryption` with the key of the run.
    """
    if config.encryption:
        return encryption.scheme(config.encryption, key_file.read(run_dir.encryption_key), image_size).encrypt
    return functools.partial(protect, load_network(run_dir.transform))


def protect(transform, images):
    """Applies h_θ.

    Args:
        transform: h_θ, [0, 1] to [0, 1].
        images: uint8 `(n, height, width, 3)`.

    Returns:
        The protected images, uint8 of the same shape.
    """
    return np.concatenate([to_uint8(outputs) for outputs in _infer(transform, images)])


def classify(classifier, images):
    """Classes, int64 `(n,)`, of uint8 images `(n, height, width, 3)`."""
    return logits(classifier, images).argmax(axis=1)


def logits(classifier, images):
    """Logits, float32 `(n, classes)`, of uint8 images `(n, height, width, 3)`."""
    return np.concatenate([np.asarray(outputs) for outputs in _infer(classifier, images)])


def visual_distance(images, references):
    """SSIM and PSNR of each uint8 image against its reference: float32 `(n,)` by `ssim` and `psnr`."""
    pairs = list(zip(_batches(images), _batches(references), strict=True))
    return {
        name: np.concatenate([np.asarray(metric(_to_float(a), _to_float(b))) for a, b in pairs])
        for name, metric in (("ssim", metrics.ssim), ("psnr", metrics.psnr))
    }


def to_uint8(images):
    """Images in [0, 1] at the 256 levels that travel; what lies outside is cut off."""
    return np.uint8(np.rint(np.clip(np.asarray(images), 0.0, 1.0) * 255.0))


def measure(classifier, test, class_names, protected):
    """All parts of results.json that need no network but ψ.

    Args:
        classifier: ψ.
        test: a `data.sources.Split`.
        class_names: of its labels.
        protected: uint8, the protected test images.
    """
    values = visual_distance(protected, test.images)
    answers = {name: logits(classifier, images) for name, images in (("plain", test.images), ("protected", protected))}
    accuracy = {name: float(np.mean(answer.argmax(axis=1) == test.labels)) for name, answer in answers.items()}
    unchanged = accuracy["protected"]
    return {
        "accuracy": accuracy | {"n": len(test.labels)},
        **_certainty(answers, test.labels, class_names),
        "channels": _after_channels(classifier, protected, test.labels, unchanged) | {"n": len(test.labels)},
        "protection": {name: summary(array) for name, array in values.items()} | {"n": len(test.labels)},
        "bytes": {
            "raw": test.images[0].nbytes,
            "plain_png": png_bytes(test.images[:SIZED]),
            "protected_png": png_bytes(protected[:SIZED]),
            "n": len(test.images[:SIZED]),
        },
    }


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


def _after_channels(classifier, protected, labels, unchanged):
    """ψ's accuracy on protected images after each channel that has a file; `unchanged` where all arrive as sent."""
    accuracy = {}
    for name, travel in measured().items():
        arrived = np.stack([travel(image) for image in protected])
        same = np.array_equal(arrived, protected)
        accuracy[name] = unchanged if same else _accuracy(classifier, arrived, labels)
    return accuracy


def _accuracy(classifier, images, labels):
    return float(np.mean(classify(classifier, images) == labels))


def costs(classifier, transform):
    """The part `cost` of results.json: MACs of one image, None where they are unknown, and parameters.

    Args:
        classifier: ψ, with its adaptation network where it has one.
        transform: h_θ; None for a keyed method, which multiplies nothing.
    """
    return {
        "transform_macs": cost.macs(transform) if transform else 0,
        "classifier_macs": cost.macs(classifier),
        "transform_parameters": cost.parameters(transform) if transform else 0,
        "classifier_parameters": cost.parameters(classifier),
    }


def png_bytes(images):
    """Mean size of uint8 images as PNG files, as `bin/protect` writes and sends them."""
    return float(np.mean([_png_size(image) for image in images]))


def summary(values):
    """Mean, median, 95th percentile and maximum of an array."""
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }


def save_samples(path, *rows):
    """Writes a PNG whose rows are uint8 images `(n, height, width, 3)`, enlarged without smoothing."""
    factor = max(1, SAMPLE_PIXELS // rows[0].shape[1])
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    grid = grid.repeat(factor, axis=0).repeat(factor, axis=1)
    Image.fromarray(grid).save(path, format="PNG")


def table(results):
    """The results as lines for a terminal."""
    accuracy, protection, costs = results["accuracy"], results["protection"], results["cost"]
    rows = [
        ("accuracy on plain images", f"{accuracy['plain']:.4f}", f"n = {accuracy['n']}"),
        ("accuracy on protected images", f"{accuracy['protected']:.4f}", f"n = {accuracy['n']}"),
    ]
    rows += _certainty_rows(results["confidence"])
    travelled = results["channels"]
    rows += [
        (f"  after {name}", f"{travelled[name]:.4f}", f"n = {travelled['n']}") for name in travelled if name != "n"
    ]
    for name, unit in (("ssim", "SSIM"), ("psnr", "PSNR [dB]")):
        values = protection[name]
        spread = f"median {values['median']:.3f}, p95 {values['p95']:.3f}, max {values['max']:.3f}"
        rows.append((f"{unit}, protected against plain", f"{values['mean']:.3f}", spread))
    for name, network in (("transform", "transform"), ("classifier", "classifier")):
        macs, parameters = costs[f"{name}_macs"], costs[f"{name}_parameters"]
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


def _infer(network, images):
    """Yields the outputs of a network for batches of uint8 images."""
    batches = _batches(images)
    infer = functools.partial(network, training=False)
    if len(batches) >= GRAPH_BATCHES:
        infer = tf.function(infer, reduce_retracing=True)
    return (infer(_to_float(batch)) for batch in batches)


def batch_size(image_size):
    """How many images an evaluation computes at once: of large ones fewer, as a network's memory grows with pixels."""
    return min(500, max(1, MOST_PIXELS // image_size**2))


def _batches(images):
    size = batch_size(images.shape[1])
    return [images[start : start + size] for start in range(0, len(images), size)]


def _to_float(images):
    return np.float32(images) / np.float32(255.0)
