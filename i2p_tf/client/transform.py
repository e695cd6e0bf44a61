"""h_θ on the device: a .tflite file that bin/export has written, run by LiteRT."""

import collections
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import threading
import zipfile

import numpy as np

from i2p_tf.errors import InputError, unknown_name

# TensorFlow Lite's convention for what belongs to a model: a zip archive behind the model in the same file.
METADATA = "i2p_tf.json"
MANIFEST = "manifest.json"
SCHEMA = 1
_CHUNK_BYTES = 1 << 20


def load(path, variant="float32", threads=None):
    """Loads a transformation network, ready to run.

    Args:
        path: a bundle, that is a folder that bin/export has written, or one .tflite file of a bundle.
        variant: which file of a bundle: `float32`, `float16`, `int8` or another that it has. Not used for a file.
        threads: images that are computed at the same time; None for one for each processor core.

    Returns:
        A `Transform`.

    Raises:
        InputError: if there is no such file, or it is damaged or no transform, or differs from what bin/export wrote.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        path = _file_of_variant(path, variant)
    elif not path.exists():
        raise InputError(f"{path} does not exist; give a folder that bin/export has written, or a .tflite file of one")
    if (path.parent / MANIFEST).is_file():
        _check_against_manifest(path)
    return Transform(path, threads)


class Transform:
    """h_θ: plain images in, protected images out. May be called from several threads at once.

    An interpreter of LiteRT is for one thread at a time, so there is one for each image that is computed at the same
    time; each runs on one core, which serves more images a second than several cores on one small image. They are
    loaded when they are first needed; the first one is loaded and run once at the start.

    Attributes:
        image_size: height and width of the images.
        resize_rule: the rule of `i2p_tf.pictures.resize` that prepares pictures for the classifier.
        class_names: of the classifier's labels, in their order.
        variant: `float32`, `float16`, `int8` or `qat`.
        codewords: of how many fixed pictures it sends one, so that their probabilities are constant and tell no
            confidence; None for other transforms, and of exports of earlier versions, which did not say it.
        run_id: names the pair of networks; other variants of one export share it.
        identity: what tells its protected images from those of another, as JSON.
        threads: images that are computed at the same time.

    Args:
        path: a .tflite file of a bundle.
        threads: as in `load`.

    Raises:
        InputError: as in `load`.
    """

    def __init__(self, path, threads=None):
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1. Received: {threads}")
        metadata = _read_metadata(path)
        self.image_size = metadata["image_size"]
        self.resize_rule = metadata["resize_rule"]
        self.class_names = tuple(metadata["class_names"])
        self.codewords = metadata.get("codewords")
        self.variant = metadata["variant"]
        self.run_id = metadata["run_id"]
        self.identity = {"run_id": self.run_id, "variant": self.variant}
        self.threads = threads or _available_cores()
        self._path = str(path)
        self._free = threading.BoundedSemaphore(self.threads)
        self._idle = collections.deque()  # its append and pop are atomic
        self._pool = concurrent.futures.ThreadPoolExecutor(self.threads, thread_name_prefix="i2p_tf")
        self(np.zeros((1, self.image_size, self.image_size, 3), np.uint8))

    def __call__(self, images):
        """Protects a batch.

        Args:
            images: uint8 RGB `(n, image_size, image_size, 3)`, any n.

        Returns:
            The protected images, uint8 of the same shape.

        Raises:
            ValueError: if `images` has another type or shape.
        """
        images = np.asarray(images)
        shape = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ValueError(
                f"`images` must be uint8 of shape (n, {', '.join(map(str, shape))}). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        protected = np.empty(images.shape, np.uint8)
        parts = np.array_split(np.arange(len(images)), min(self.threads, len(images)) or 1)
        if len(parts) == 1:
            self._run(images, protected, parts[0])
        else:
            list(self._pool.map(lambda part: self._run(images, protected, part), parts))
        return protected

    def _run(self, images, protected, indices):
        with self._runner() as run:
            for index in indices:
                protected[index] = run(images[index])

    @contextlib.contextmanager
    def _runner(self):
        with self._free:
            try:
                run = self._idle.pop()
            except IndexError:
                run = self._new_runner()
            try:
                yield run
            finally:
                self._idle.append(run)

    def _new_runner(self):
        """A function that takes one image through an interpreter of its own."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_path=self._path, num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"LiteRT cannot run {self._path}: {' '.join(str(error).split())}") from error
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]

        def run(image):
            interpreter.set_tensor(source, image[np.newaxis])
            interpreter.invoke()
            return interpreter.get_tensor(target)[0]

        return run


def _file_of_variant(folder, variant):
    available = sorted(file.stem.removeprefix("transform_") for file in folder.glob("transform_*.tflite"))
    if not available or not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} is no folder that bin/export has written: it has no {MANIFEST} or no .tflite file")
    if variant not in available:
        raise unknown_name("variant", variant, available)
    return folder / f"transform_{variant}.tflite"


def _check_against_manifest(path):
    manifest = path.parent / MANIFEST
    try:
        expected = json.loads(manifest.read_text())["files"][path.name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{manifest} is damaged or does not list {path.name}; export it again") from error
    if _sha256(path, path.stat().st_size) != expected:
        raise InputError(f"{path} was changed after its export: its SHA-256 is not that of {MANIFEST}; export it again")


def _read_metadata(path):
    """The JSON behind the model, after checking that both are whole: a damaged model can crash the interpreter."""
    try:
        with zipfile.ZipFile(path) as archive:
            model_bytes = archive.getinfo(METADATA).header_offset
            metadata = json.loads(archive.read(METADATA))
        if metadata["schema"] != SCHEMA:
            raise InputError(f"{path} has format {metadata['schema']}; this version of i2p_tf reads format {SCHEMA}")
        whole = _sha256(path, model_bytes) == metadata["model_sha256"]
    except (zipfile.BadZipFile, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        raise InputError(f"{path} is damaged, or no .tflite file that bin/export has written") from error
    if not whole:
        raise InputError(f"{path} is damaged: the model in it is not the one that was exported")
    return metadata


def _sha256(path, count):
    """SHA-256 of the first `count` bytes of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while count > 0 and (chunk := file.read(min(count, _CHUNK_BYTES))):
            digest.update(chunk)
            count -= len(chunk)
    return digest.hexdigest()


def _available_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
