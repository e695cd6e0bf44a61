"""What a notebook calls: train, protect, measure, attack and export, with neither flags nor a run directory.

The functions are those that the commands in bin/ call. `i2p_tf` has them by the same names: `i2p_tf.fit`.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import keras
import numpy as np

from i2p_tf import classifier_file, evaluation, inference, presets
from i2p_tf.attacks.attack import attack
from i2p_tf.client.transform import Transform, load
from i2p_tf.config import Config
from i2p_tf.data import arrays, sources
from i2p_tf.data.dataset import Dataset, Found
from i2p_tf.errors import InputError
from i2p_tf.experiment import configured
from i2p_tf.export import DEFAULT_VARIANTS, bundle, request
from i2p_tf.models.classifiers import own
from i2p_tf.models.classifiers.table import CLASSIFIERS
from i2p_tf.results import Results
from i2p_tf.run_dir import RunDir
from i2p_tf.training.progress import Progress
from i2p_tf.training.train import read_given, train_and_evaluate

__all__ = ["Fitted", "attack", "evaluate", "export", "fit", "load", "protect"]


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What `fit` has trained.

    Attributes:
        dataset: the data, with the splits `train`, `validation` and `test`, each with `images`, uint8
            `(n, size, size, 3)`, and `labels`, int32 `(n,)`; and with `class_names`.
        classifier: ψ, RGB in [0, 1] `(n, size, size, 3)` to logits `(n, classes)`.
        transform: h_θ, RGB in [0, 1] to the same; None with a keyed method.
        protect: what is sent for images: uint8 `(n, size, size, 3)` to uint8 of the same shape.
        config: how it was made.
    """

    dataset: Dataset
    classifier: keras.Model
    transform: keras.Model | None
    protect: Callable[[np.ndarray], np.ndarray]
    config: Config
    _run: RunDir = dataclasses.field(repr=False)
    _progress: Progress = dataclasses.field(repr=False)


def fit(
    data: Any,
    classifier: Any = "resnet20",
    *,
    test: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "own",
    preset: str = presets.DEFAULT,
    verbose: bool = True,
    **settings: Any,
) -> Fitted:
    """Trains h_θ against a classifier ψ, which is trained first where it isn't given, and measures both.

    Args:
        data: (images, labels), uint8 RGB `(n, size, size, 3)` and integers from 0 `(n,)`; a `tf.data.Dataset` of such
            pairs; a folder of class folders; or a data set's name, as of `bin/train --dataset`.
        classifier: any `keras.Model` that takes square RGB pictures and gives one row of scores, or its file, or the
            folder of a SavedModel: a copy is taken as it is, frozen. Or the name of one that is trained: `resnet20`,
            `applications:MobileNetV2`.
        test: what is measured on, as arrays or a `tf.data.Dataset`, beside `data` of that kind; a fifth of each class
            if not given. A folder has its test/.
        class_names: in the order of the labels and of the classifier's outputs; if not given numbers, or the folders.
        name: what arrays are called in an export.
        preset: a key of `presets.PRESETS`.
        verbose: whether progress is shown, on stderr.
        **settings: what else the preset is to do another way, each by the name of the flag of `bin/train`:
            `classifier_range="-1..1"` (of the pictures that ψ wants, where its first layers do not tell), `image_size`,
            `epochs`, `batch_size`, `augmentation="crop"`, `transform`, `objective`, `seed` and so on.

    Returns:
        A `Fitted`. What it keeps on disk, in a temporary folder, goes with it.

    Raises:
        InputError: if something does not fit; a `ValueError`, whose message is one line.
        TypeError: if there is no such setting.
        TrainingError: if a loss is not finite.
    """
    progress = Progress(None if verbose else io.StringIO())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="i2p_tf-"))
    try:
        with _in_words_of_python(folder):
            _require_tensorflow()
            settings |= _classifier(classifier, folder) | {"class_names": class_names}
            dataset = None
            if isinstance(data, str | os.PathLike):
                name, settings["data_dir"] = _place(data, test, settings.get("data_dir"))
            else:
                dataset = _dataset(data, test, class_names, name, settings)
                settings["class_names"] = dataset.class_names
            fitted = _train(configured(preset, name, settings), RunDir(folder / "run"), dataset, progress)
    except BaseException:
        shutil.rmtree(folder)
        raise
    weakref.finalize(fitted, shutil.rmtree, folder, ignore_errors=True)
    return fitted


def protect(by: Fitted | Transform, images: Any) -> np.ndarray:
    """What is sent in the place of images.

    Args:
        by: what `fit` has trained, or what `load` has loaded.
        images: uint8 RGB `(n, size, size, 3)`, of the size that it was trained on.

    Returns:
        Protected images, uint8 of the same shape.

    Raises:
        InputError: if the images are of another form.
    """
    if isinstance(by, Transform):
        return by(images)
    images, size = np.asarray(images), by.dataset.image_size
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3) or not len(images):
        raise InputError(
            f"`images` must be uint8 (n, {size}, {size}, 3), n at least 1. Received: {images.dtype} {images.shape}"
        )
    return by.protect(images)


def evaluate(fitted: Fitted, test: Any = None) -> Results:
    """Measures accuracy on plain and protected images, confidence, visual distance and cost.

    Args:
        fitted: what `fit` has trained.
        test: other images than its test split, with labels, as arrays or a `tf.data.Dataset`; None for that split.

    Returns:
        What `bin/evaluate` writes into results.json, a `results.Results`: shares in [0, 1], each part with its n.
        `evaluation.table` makes text of it.

    Raises:
        InputError: if the images or labels do not fit.
    """
    if test is None:
        return cast(Results, fitted._run.read_results())  # as `fit` has measured them
    split = arrays.split("test", test)
    size, classes = fitted.dataset.image_size, fitted.dataset.num_classes
    if split.images.shape[1] != size or split.labels.max() >= classes:
        raise InputError(
            f"`test` must have images of {size}x{size} and labels below {classes}. Received: images of "
            f"{split.images.shape[1]}x{split.images.shape[2]}, labels to {split.labels.max()}"
        )
    others = dataclasses.replace(fitted.dataset, test=split)
    return cast(Results, evaluation.results_of(fitted._run, others, fitted._progress))


def export(
    fitted: Fitted,
    path: str | os.PathLike,
    variants: Iterable[str] = DEFAULT_VARIANTS,
    saved_models: bool = True,
    allow_loss: bool = False,
) -> dict:
    """Writes what devices and servers load, as `bin/export` does, after it was compared with the networks.

    Args:
        fitted: what `fit` has trained.
        path: the folder to write, made if it is missing.
        variants: TensorFlow Lite files, members of `i2p_tf.export.VARIANTS`.
        saved_models: whether to write the SavedModels for servers.
        allow_loss: publish variants that lose more than 1 point of accuracy.

    Returns:
        The contents of manifest.json.

    Raises:
        InputError: if the folder or a variant can't be had.
        ParityError: if a file does not do what the networks do; the folder is then as it was.
    """
    path, variants = pathlib.Path(path).resolve(), tuple(variants)
    with _in_words_of_python():
        request.check_variants(variants)
        request.check(fitted.config, path, variants, fitted.dataset.name)
        return bundle.export(
            fitted._run, fitted.dataset, fitted.config, path, variants, saved_models, allow_loss, fitted._progress
        )


def _train(config: Config, run: RunDir, dataset: Dataset | None, progress: Progress) -> Fitted:
    """Trains what a `Config` says, on a data set or the one that it names."""
    given = read_given(config, line=progress, dataset=dataset)
    run.claim(config)
    train_and_evaluate(config, run, progress, given)
    return Fitted(
        dataset=given.dataset,
        classifier=inference.load_reading_classifier(run, given.dataset.num_classes),
        transform=None if config.encryption else inference.load_network(run.transform),
        protect=inference.load_protection(run, config, given.dataset.image_size),
        config=config,
        _run=run,
        _progress=progress,
    )


def _classifier(classifier: Any, folder: pathlib.Path) -> dict[str, str]:
    """The settings that say which classifier it is; a model is saved, as what is trained must not be the user's own."""
    if isinstance(classifier, keras.Model):
        own.check_form(classifier)
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', classifier.name)}.keras"
        classifier.save(path)
        return {"classifier_path": str(path)}
    is_name = isinstance(classifier, str) and classifier in CLASSIFIERS
    if isinstance(classifier, str | os.PathLike) and not is_name and classifier_file.is_meant(os.fspath(classifier)):
        classifier_file.check(os.fspath(classifier), "classifier")
        return {"classifier_path": os.path.abspath(classifier)}
    return {"classifier": classifier}


def _place(data: str | os.PathLike, test: Any, data_dir: str | None) -> tuple[str, str | None]:
    """The name of a data set that is not in memory yet, and its `data_dir`, as a `Config` has them."""
    if test is not None:
        raise InputError("`test` goes with arrays or a tf.data.Dataset; a folder has its own in test/")
    text = os.fspath(data)
    name, data_dir = sources.place(f"folder:{text}" if os.path.isdir(text) else text, data_dir)
    sources.check_place(name)
    return name, data_dir


def _dataset(data: Any, test: Any, class_names: Sequence[str] | None, name: str, settings: dict[str, Any]) -> Dataset:
    """The data set of arrays."""
    splits = {"train": arrays.split("data", data)} | ({} if test is None else {"test": arrays.split("test", test)})
    shapes = [split.images.shape[1:] for split in splits.values()]
    if len(set(shapes)) > 1:
        raise InputError(f"`data` and `test` differ in size: {shapes[0]}, {shapes[1]}")
    if settings.get("image_size") not in (None, shapes[0][0]):
        raise InputError(f"`image_size` says how folders are read; the images of `data` have {shapes[0][0]} pixels")
    count = 1 + max(int(split.labels.max()) for split in splits.values())
    names = tuple(class_names or map(str, range(count)))
    if len(names) < count:
        raise InputError(f"`class_names` has {len(names)} names, and there is a label {count - 1}")
    held_out = 3 - len(splits)  # validation, and test where it isn't given
    counts = np.bincount(splits["train"].labels, minlength=len(names))
    if counts.min() <= held_out:
        raise InputError(
            f"class {names[counts.argmin()]!r} has {counts.min()} images in `data`; at least {held_out + 1} are needed"
        )
    dataset = Dataset.split(name, Found(names, splits))
    images = settings.get("training_images")
    return dataset.with_training_images(images) if images else dataset


def _require_tensorflow() -> None:
    if keras.backend.backend() != "tensorflow":
        raise InputError(f"Keras runs on {keras.backend.backend()}; set KERAS_BACKEND=tensorflow before it is imported")


@contextlib.contextmanager
def _in_words_of_python(folder: pathlib.Path | None = None) -> Iterator[None]:
    """Messages name flags, `--epochs=4`, that are arguments here, `epochs=4`; and files of a `folder` nobody knows."""
    try:
        yield
    except InputError as error:
        text = str(error).replace(f"{folder}{os.sep}", "") if folder else str(error)
        raise InputError(re.sub(r"--(?=[a-z])", "", text)) from error
