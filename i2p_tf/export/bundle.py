"""A bundle: everything that devices and servers need of a run, published only after it has passed parity."""

import contextlib
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

import keras
import numpy as np

from i2p_tf import inference
from i2p_tf.client import manifest as manifest_
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.client.transform import Transform
from i2p_tf.client.transform_file import MAX_BYTES
from i2p_tf.config import Config
from i2p_tf.environment import describe_environment
from i2p_tf.errors import InputError
from i2p_tf.export import parity, quantization_aware, quantize, saved_model, tflite, vectors
from i2p_tf.export.card import card
from i2p_tf.files import write_json
from i2p_tf.objectives.paper import calibrated_objective, require_same_features
from i2p_tf.run_dir import RunDir, lock_folder
from i2p_tf.training.progress import Progress

if TYPE_CHECKING:
    from i2p_tf.data.dataset import Dataset

RESIZE_RULE = "crop"  # by which `data.folder` prepares pictures for training
PARITY_IMAGES = 1000
CARD = "MODEL_CARD.md"
VERSION_DIGITS = 18  # of a version's number at most: servers send it in 64 bits


def export(
    run_dir: RunDir,
    dataset: "Dataset",
    config: Config,
    path: str | os.PathLike,
    variants: Iterable[str],
    with_saved_models: bool,
    allow_loss: bool,
    progress: Progress,
) -> dict:
    """Writes the bundle of a run; what an earlier export of the same run has put there stays.

    Args:
        run_dir: a `RunDir` with both networks.
        dataset: the `data.dataset.Dataset` of the run.
        config: the `Config` of the run.
        path: the folder of the bundle, made if it is missing.
        variants: which TensorFlow Lite files to write, members of `i2p_tf.export.VARIANTS`; may be empty.
        with_saved_models: whether to write the two SavedModels.
        allow_loss: publish variants that lose more than `parity.ALLOWED_LOSS` of accuracy.
        progress: a `training.progress.Progress`.

    Returns:
        The contents of manifest.json.

    Raises:
        InputError: if a network is missing or can't be read, or another export is writing there.
        parity.ParityError: if an artifact does not do what the Keras model does; the folder is then as it was.
    """
    path = pathlib.Path(path)
    with lock_folder(path, "wait for it, or give another folder with --export"):
        classifier = inference.load_reading_classifier(run_dir, dataset.num_classes)
        transform = inference.load_network(run_dir.transform)
        images, labels = dataset.test.images[:PARITY_IMAGES], dataset.test.labels[:PARITY_IMAGES]
        words = dataset.num_classes if config.sends_codewords else None
        bits = config.bits if config.has_reader else None
        protected = inference.load_protection(run_dir, config, dataset.image_size)(images)
        reference = parity.Reference(classifier, images, labels, protected, words, bits)
        former = _former_manifest(path)
        manifest = _describe_run(path, run_dir, dataset, config, run_id(classifier, transform), reference)
        if former.get("run_id") == manifest["run_id"]:
            for key in ("variants", "saved_models"):
                manifest[key] = former[key]

        with _staging(path) as staging:
            for variant in variants:
                progress.say(f"converting {variant}")
                model, origin = _convert(variant, run_dir, transform, classifier, dataset, config, progress)
                checked = _add_variant(variant, model, reference, manifest, allow_loss, staging)
                manifest["variants"][variant] = origin | checked
            if with_saved_models:
                progress.say("writing the SavedModels")
                manifest["saved_models"] = _add_saved_models(
                    classifier, transform, dataset, manifest["run_id"], reference, path, staging
                )
            _add_vectors(manifest, path, former.get("files", {}), staging)
            text = card(manifest, config, run_dir.read_results())
            _publish(staging, path, manifest, text, former.get("files", {}))
        return manifest


def _describe_run(path, run_dir, dataset, config, name, reference):
    """A manifest without artifacts."""
    return {
        "schema": manifest_.SCHEMA,
        "name": path.name,
        "run_id": name,
        "sha256": run_dir.network_digests(),
        "dataset": dataset.name,
        "image_size": dataset.image_size,
        "resize_rule": RESIZE_RULE,
        "class_names": list(dataset.class_names),
        "codewords": reference.words,  # of how many pictures a codebook sends one; their probabilities are constant
        "bits": reference.bits,  # that a client sends of a picture unless it is told to send another number
        "networks": {"classifier": config.classifier_name, "transform": config.transform},
        "keras": {
            "accuracy_plain": reference.accuracy_of(reference.images),
            "accuracy_protected": reference.accuracy,
            "n": len(reference.labels),
        },
        "environment": describe_environment(),
        "variants": {},
        "saved_models": {},
        "files": {},
    }


def run_id(classifier: keras.Model, transform: keras.Model) -> str:
    """Names a pair of networks: 16 hexadecimal digits that depend on the weights alone."""
    digest = hashlib.sha256()
    for network in (classifier, transform):
        for weight in network.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def _convert(variant, run_dir, transform, classifier, dataset, config, progress):
    """A TensorFlow Lite model, and what the manifest says of how it was quantised."""
    if variant in tflite.FLOAT_VARIANTS:
        return tflite.float_model(transform, variant), {}
    if variant == "int8":
        images, origin = quantize.representative_set(dataset.train)
        return tflite.int8_model(transform, images), {"representative_set": origin}
    classifier.trainable = False
    objective, description = calibrated_objective(config, dataset, classifier, progress)
    require_same_features(description, run_dir.read_environment(), run_dir.path)
    model = quantization_aware.qat_model(transform, objective, dataset.train, config, progress.say)
    classifier.trainable = True  # frozen, it would be exported as it computes in a training
    return model


def _add_variant(variant, model, reference, manifest, allow_loss, staging):
    """Writes and checks one file; returns its entry in the manifest."""
    keys = ("run_id", "image_size", "resize_rule", "class_names", "codewords", "bits")
    content = tflite.with_metadata(model, {"variant": variant} | {key: manifest[key] for key in keys})
    file = staging / f"transform_{variant}.tflite"
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{file.name} would have {len(content):,} bytes, and clients take at most {MAX_BYTES:,}; "
            "--variants=int8 makes one of a quarter of the size"
        )
    file.write_bytes(content)

    client = Transform(file)
    protected = client(reference.images)
    exact = variant in tflite.FLOAT_VARIANTS
    checked = parity.check_transform(file.name, protected, reference, exact, allow_loss)
    return {
        "file": file.name,
        "bytes": len(content),
        "milliseconds": parity.milliseconds(client, reference.images),
        "psnr_to_float32": checked.pop("psnr"),
        "parity": checked,
    }


def _add_vectors(manifest, path, former_files, staging):
    """Writes the test vectors of all variants; those of an earlier export count unless they were changed since."""
    files = {}
    for variant, entry in manifest["variants"].items():
        new, kept = staging / entry["file"], path / entry["file"]
        if new.exists():
            files[variant] = new
        elif kept.is_file() and _describe(kept) == former_files.get(entry["file"]):
            files[variant] = kept
    transforms = {variant: Transform(file) for variant, file in files.items()}
    contents = vectors.vectors(transforms, manifest["run_id"], manifest["image_size"])
    write_json(staging / vectors.FILE, contents)


def _add_saved_models(classifier, transform, dataset, run_id, reference, path, staging):
    saved_model.export_transform(transform, staging / "transform")
    version = 1 + max((int(folder.name) for folder in _versions(path)), default=0)
    folder = staging / "classifier" / str(version)
    saved_model.export_classifier(classifier, dataset.class_names, run_id, reference.protected, folder)
    return {
        "transform": parity.check_saved_transform(staging / "transform", reference),
        "classifier": {"version": version} | parity.check_saved_classifier(folder, dataset.class_names, reference),
    }


def _versions(path):
    folders = path.glob("classifier/[0-9]*")
    return [folder for folder in folders if folder.name.isdecimal() and len(folder.name) <= VERSION_DIGITS]


@contextlib.contextmanager
def _staging(path):
    """A folder beside the bundle, so that publishing only renames; what a killed export has left there is removed."""
    staging = path.parent / f".unfinished-{path.name}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging)


def _publish(staging, path, manifest, card_text, former_files):
    """Moves the checked files into the bundle, the manifest last.

    The folder of the classifier's versions stays the same one: a server that watches it sees a new version appear
    whole and no other one go. Files that stay keep the SHA-256 they were published with. If this is interrupted, client
    and server refuse the bundle until it is exported again.
    """
    path.mkdir(exist_ok=True)
    (staging / CARD).write_text(card_text)
    new = {str(file.relative_to(staging)): _describe(file) for file in sorted(staging.rglob("*")) if file.is_file()}
    for source in [*staging.glob("transform*"), *staging.glob(vectors.FILE), *staging.glob("classifier/*")]:
        target = path / source.relative_to(staging)
        target.parent.mkdir(exist_ok=True)
        _remove(target)
        os.replace(source, target)
    wanted = {"classifier", *_wanted(manifest)}
    former = {name: entry for name, entry in former_files.items() if name not in new}
    for name in {pathlib.Path(name).parts[0] for name in former} - wanted:
        _remove(path / name)
    kept = {name: entry for name, entry in former.items() if (path / name).is_file()}
    manifest["files"] = dict(sorted((kept | new).items()))
    os.replace(staging / CARD, path / CARD)
    write_json(path / MANIFEST, manifest)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _wanted(manifest):
    files = {entry["file"] for entry in manifest["variants"].values()}
    return files | {vectors.FILE} | ({"transform"} if manifest["saved_models"] else set())


def _describe(file):
    with open(file, "rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def _former_manifest(path):
    """That of an earlier export into this folder; empty if there is none, or one that does not say what it has."""
    try:
        manifest = manifest_.read(path)
        _wanted(manifest)
    except manifest_.LaterVersion:
        raise
    except (InputError, KeyError, TypeError, AttributeError):
        return {}
    return manifest
