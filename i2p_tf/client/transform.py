"""h_θ on the device: a .tflite file that bin/export has written, run by LiteRT."""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import threading
import weakref
from collections.abc import Callable

import numpy as np

from i2p_tf import checks, drawing
from i2p_tf.client import transform_file
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError

_IDENTITY_DIGITS = 16  # of the model's SHA-256: enough to tell two models apart


def load(
    path: str | os.PathLike, variant: str = "float32", threads: int | None = None, bits: int | None = None
) -> "Transform":
    """Loads a transformation network, ready to run.

    Args:
        path: a bundle, that is a folder that bin/export has written, or one .tflite file of a bundle.
        variant: which file of a bundle: `float32`, `float16`, `int8` or another that it has. Not used for a file.
        threads: images that are computed at the same time; None for one for each processor core.
        bits: of a code that are sent, a member of `i2p_tf.drawing.BITS`; None for as many as the export says.

    Returns:
        A `Transform`.

    Raises:
        InputError: if there is no such file, or it is damaged or no transform, or differs from what bin/export wrote.
    """
    file = pathlib.Path(path)
    if file.is_dir():
        file = transform_file.of_variant(file, variant)
    elif not file.is_file():
        problem = "is no file" if file.exists() else "does not exist"
        raise InputError(f"{file} {problem}; give a folder that bin/export has written, or a .tflite file of one")
    if (file.parent / MANIFEST).is_file():
        transform_file.check_against_manifest(file)
    return Transform(file, threads, bits)


class Transform:
    """h_θ: plain images in, protected images out. May be called from several threads at once.

    An interpreter of LiteRT is for one thread at a time, so there is one for each image that is computed at the same
    time; each runs on one core, which serves more images a second than several cores on one small image. They are
    loaded when they are first needed; the first one is loaded and run once at the start.

    It works on in a child process after `os.fork`, with threads and interpreters of the child's own, and can be
    pickled: the model travels in the pickle, so the file need not be where it is unpickled.

    Attributes:
        image_size: height and width of the images.
        resize_rule: the rule of `i2p_tf.pictures.resize` that prepares pictures for the classifier.
        class_names: of the classifier's labels, in their order.
        variant: `float32`, `float16`, `int8` or `qat`.
        codewords: of how many fixed pictures it sends one, so that their probabilities are constant and tell no
            confidence; None for other transforms, and of exports of earlier versions, which did not say it.
        bits: of a code that are sent: what is sent is one of 2**bits drawings. None for other transforms.
        run_id: names the pair of networks; other variants of one export share it.
        identity: what tells its protected images from those of another, as JSON.
        threads: images that are computed at the same time.
        content: of the file.

    Args:
        path: a .tflite file of a bundle; for messages alone if its `content` is given.
        threads, bits: as in `load`.

    Raises:
        InputError: as in `load`.
    """

    def __init__(
        self, path: str | os.PathLike, threads: int | None = None, bits: int | None = None, content: bytes = b""
    ) -> None:
        self._load(str(path), content or transform_file.read(path), threads, bits)

    def __getstate__(self) -> tuple:
        return self._path, self.content, self._given_threads, self.bits

    def __setstate__(self, state: tuple) -> None:
        self._load(*state)

    def _load(self, path, content, threads, bits):
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1. Received: {threads}")
        metadata = transform_file.read_metadata(path, content)
        self.image_size = metadata["image_size"]
        self.resize_rule = metadata["resize_rule"]
        self.class_names = tuple(metadata["class_names"])
        self.codewords = metadata.get("codewords")
        self.bits = _chosen_bits(bits, metadata.get("bits"), path)
        self.variant = metadata["variant"]
        self.run_id = metadata["run_id"]
        model = metadata["model_sha256"][:_IDENTITY_DIGITS]
        self.identity = {"run_id": self.run_id, "variant": self.variant, "model": model}
        if self.bits:
            self.identity["bits"] = self.bits
        self.threads = threads or _available_cores()
        self._given_threads = threads
        # The interpreters of later threads are of this content, whatever becomes of the file.
        self._path, self.content = path, content
        self._shape = (1, self.image_size, self.image_size, 3)
        self._start()
        _transforms.add(self)
        with self._runner() as run:  # loads the interpreter, which checks the shape, before an image of it is made
            run(np.zeros(self._shape[1:], np.uint8))

    def _start(self):
        """Without interpreters and threads, as at the beginning."""
        self._free = threading.BoundedSemaphore(self.threads)
        self._idle: collections.deque[Callable] = collections.deque()  # its append and pop are atomic
        self._pool = concurrent.futures.ThreadPoolExecutor(self.threads, thread_name_prefix="i2p_tf")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Protects a batch.

        Args:
            images: uint8 RGB `(n, image_size, image_size, 3)`, any n.

        Returns:
            The protected images, uint8 of the same shape.

        Raises:
            ValueError: if `images` has another type or shape.
            InputError: if the network gives no drawing of a code where it has to.
        """
        images = np.asarray(images)
        parts = min(self.threads, len(images)) if images.shape[1:] == self._shape[1:] else 1
        if parts < 2 or images.dtype != np.uint8:
            return self.in_this_thread(images)
        return np.concatenate(list(self._pool.map(self.in_this_thread, np.array_split(images, parts))))

    def in_this_thread(self, images: np.ndarray) -> np.ndarray:
        """As a call, in the calling thread alone: for who has threads of his own."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != self._shape[1:]:
            raise ValueError(
                f"`images` must be uint8 of shape (n, {', '.join(map(str, self._shape[1:]))}). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        with self._runner() as run:
            protected = np.array([run(image) for image in images], np.uint8).reshape(images.shape)  # there may be none
        return self._cut(protected) if self.bits else protected

    def _cut(self, protected):
        try:
            return drawing.cut(protected, self.bits)
        except ValueError as error:
            raise InputError(
                f"{self._path} has made a picture that is no drawing of a code, so it is not sent; export it again"
            ) from error

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
            interpreter = Interpreter(model_content=self.content, num_threads=1)
            interpreter.allocate_tensors()
            (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        except Exception as error:  # a model that something else has made may fail in any way
            raise InputError(f"LiteRT cannot run {self._path}: {' '.join(str(error).split())}") from error
        for tensor in (source, target):
            if tuple(tensor["shape"]) != self._shape or tensor["dtype"] != np.uint8:
                raise InputError(
                    f"{self._path} is damaged: it says that its images are uint8 {self._shape}, "
                    f"and its model has {np.dtype(tensor['dtype'])} {tuple(map(int, tensor['shape']))}"
                )

        def run(image):
            interpreter.set_tensor(source["index"], image[np.newaxis])
            interpreter.invoke()
            return interpreter.get_tensor(target["index"])[0]

        return run


# A child after `fork` has neither the threads of a pool nor those that hold a semaphore or an interpreter just then.
_transforms: "weakref.WeakSet[Transform]" = weakref.WeakSet()


def _start_all():
    for transform in list(_transforms):
        transform._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all)


def _chosen_bits(given, default, path):
    """How many bits of a code are sent; None where there is no code."""
    if given is None or given == default:
        return default
    if default is None:
        raise InputError(f"{path} sends no code, so bits can't be chosen; leave --bits out. Received: {given}")
    checks.member("bits", given, drawing.BITS)
    return given


def _available_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
