"""Asks a classifier in the cloud: pictures are protected here, and only protected ones are sent."""

import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np

from i2p_tf import pictures
from i2p_tf.client import address
from i2p_tf.client.deadline import Deadline
from i2p_tf.client.errors import ModelMismatch, NotInService, ServerError, Unavailable
from i2p_tf.client.interfaces import PictureSource
from i2p_tf.client.model_metadata import ModelMetadata
from i2p_tf.client.transform import Transform
from i2p_tf.errors import InputError

MAX_REQUEST_IMAGES = 64  # what bin/serve lets TF Serving take in one request
MAX_REQUEST_BYTES = 4 << 20
MAX_TIMEOUT = 86_400
_BYTES_A_VALUE = 1.5  # at most, of noise as PNG in base64
_PAUSE_SECONDS = 0.2  # before the second attempt; twice as long before each further one
_ROUNDING = 1e-6  # by which a probability in float32 may lie above 1
_PLAIN_RULE = "crop"  # by which bin/train makes pictures square


@dataclasses.dataclass(frozen=True)
class Classification:
    """What the server said of a picture, or why it could not be asked.

    Attributes:
        source: the picture as it was given.
        labels: tuple of (class name, probability), the most probable first.
        reason: why there are none.
    """

    source: object
    labels: tuple = ()
    reason: str | None = None


class Classifier:
    """A model on a server, and the transform that belongs to it. May be used from several threads at once.

    Nothing is sent before the model's metadata have been compared with the transform, and then only to the version they
    are of: when the server takes that out of service, the new one is compared first.

    Args:
        server: `http://HOST:PORT` or `https://HOST` of the REST API, or `grpc://HOST:PORT` or `grpcs://HOST:PORT`, both
            of which need the extra `grpc`.
        model: its name there.
        transform: a `client.transform.Transform`; None to send plain pictures only.
        label: name of the version to ask, such as `canary`; the newest one if None.
        timeout: seconds that the classes of one batch may take, all attempts together; and so long may comparing the
            model with the transform.
        attempts: how often a request is made if the server cannot be reached or is busy.
        token: sent as `Authorization: Bearer TOKEN`, over TLS or to this computer only.
        certificate: file of the authorities to trust for TLS, instead of the usual ones.

    Raises:
        InputError: if one of them can't be used.
    """

    def __init__(
        self,
        server: str,
        model: str,
        transform: Transform | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        attempts: int = 4,
        token: str | None = None,
        certificate: str | None = None,
    ) -> None:
        if not 0 < timeout <= MAX_TIMEOUT or attempts < 1:
            raise InputError(
                f"timeout must be above 0 and at most {MAX_TIMEOUT} seconds, and attempts at least 1. "
                f"Received: {timeout} and {attempts}"
            )
        self._transform = transform
        self._label = label
        self._timeout = timeout
        self._attempts = attempts
        self._connection = address.connect(server, model, token, certificate)
        self._checking = threading.Lock()
        self._metadata: ModelMetadata | None = None
        self._class_names: list[str] = []

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def image_size(self) -> int:
        """Height and width of the model's images."""
        return self._checked().image_size

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        self._checked()
        return self._class_names

    def predict(self, images: np.ndarray, plain: bool = False) -> np.ndarray:
        """Classifies images that have the right size already.

        Args:
            images: uint8 RGB `(n, image_size, image_size, 3)`, any n; they are protected before they are sent.
            plain: send them as they are.

        Returns:
            Probabilities of the classes, float32 `(n, classes)`.

        Raises:
            ServerError: if the server can't be asked, or serves another model than the transform is for.
            ValueError: if `images` has another type or shape.
        """
        metadata = self._checked()
        images = np.asarray(images)
        size = metadata.image_size
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"`images` must be uint8 of shape (n, {size}, {size}, 3). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        if not plain:
            images = self._protect(images)
        parts = [self._ask(part) for part in _parts(images)]
        return np.concatenate(parts) if parts else np.empty((0, metadata.class_count), np.float32)

    def classify(self, sources: Iterable[PictureSource], top: int = 1, plain: bool = False) -> Iterator[Classification]:
        """Classifies pictures of any format, mode and size.

        Args:
            sources: iterable of paths, bytes or binary file objects.
            top: how many labels to tell of each.
            plain: send them unprotected.

        Yields:
            A `Classification` for each source, in their order.

        Raises:
            ServerError: as `predict`.
        """
        sources = iter(sources)
        at_once = _images_at_once(self.image_size)
        while some := list(itertools.islice(sources, at_once)):
            decoded = [self._decode(source) for source in some]
            images = [image for image in decoded if not isinstance(image, pictures.PictureError)]
            probabilities = iter(self.predict(np.stack(images), plain) if images else ())
            for source, image in zip(some, decoded, strict=True):
                if isinstance(image, pictures.PictureError):
                    yield Classification(source, reason=str(image))
                else:
                    yield Classification(source, self._best(next(probabilities), top))

    def _decode(self, source):
        """The picture as an array of the right size, or the `PictureError`."""
        rule = self._transform.resize_rule if self._transform else _PLAIN_RULE
        try:
            return pictures.decode_square(source, self.image_size, rule)
        except pictures.PictureError as error:
            return error

    def _best(self, probabilities, top):
        order = np.argsort(-probabilities, kind="stable")[:top]
        return tuple((self.class_names[index], float(probabilities[index])) for index in order)

    def _protect(self, images):
        if self._transform is None:
            raise ValueError("this Classifier has no transform, so it can send plain pictures only")
        return self._transform(images)

    def _checked(self):
        """The metadata of the version to ask, after comparing it with the transform."""
        deadline = Deadline(self._timeout)
        if not self._checking.acquire(timeout=deadline.left()):  # another thread is asking
            raise ServerError(f"{self._connection.address} did not answer within {self._timeout:g} s")
        try:
            if self._metadata is None:
                metadata = self._retried(lambda: self._connection.metadata(self._label, deadline), deadline)
                self._class_names = self._compared_names(metadata, deadline)
                self._metadata = metadata
            return self._metadata
        finally:
            self._checking.release()

    def _compared_names(self, metadata, deadline):
        """The names of the classes: the transform's, if the model is of its run; without a transform the model's."""
        if self._transform is None:
            return self._ask_names(metadata, range(metadata.class_count), deadline)[0]
        self._compare(self._transform, metadata, self._ask_names(metadata, range(1), deadline)[1])
        return list(self._transform.class_names)

    def _ask_names(self, metadata, labels, deadline):
        """The model's names of labels, and its run id."""
        names = []
        for start in range(0, len(labels), MAX_REQUEST_IMAGES):
            part = labels[start : start + MAX_REQUEST_IMAGES]
            some, run_id = self._retried(
                lambda part=part: self._connection.class_names(metadata, part, deadline), deadline
            )
            if len(some) != len(part):
                raise ServerError(f"{self._connection.address} does not name all its classes: is it TF Serving?")
            names += some
        return names, run_id

    def _compare(self, transform, metadata, run_id):
        of = f"version {metadata.version} of the model at {self._connection.address}"
        if transform.image_size != metadata.image_size:
            raise ModelMismatch(
                f"{of} takes images of {metadata.image_size}x{metadata.image_size}, the transform makes "
                f"{transform.image_size}x{transform.image_size}; take the transform of the same export. "
                "Nothing was sent to it"
            )
        if len(transform.class_names) != metadata.class_count:
            raise ModelMismatch(
                f"{of} knows {metadata.class_count} classes, the transform {len(transform.class_names)}; "
                "take the transform of the same export. Nothing was sent to it"
            )
        if transform.run_id != run_id:
            raise ModelMismatch(
                f"{of} is of run {run_id}, the transform of run {transform.run_id}; "
                "take the transform of the same export. Nothing was sent to it"
            )

    def _ask(self, images):
        metadata = self._checked()
        deadline = Deadline(self._timeout)
        try:
            probabilities = self._asked(metadata, images, deadline)
        except NotInService:  # swapped for another version, which has to be compared too
            with self._checking:
                if self._metadata is metadata:
                    self._metadata = None
            metadata = self._checked()
            probabilities = self._asked(metadata, images, deadline)
        if probabilities.shape != (len(images), metadata.class_count):
            raise ServerError(
                f"{self._connection.address} answered {len(images)} images with probabilities of shape "
                f"{probabilities.shape}: is it TF Serving?"
            )
        if not (np.min(probabilities) >= 0 and np.max(probabilities) <= 1 + _ROUNDING):  # nor if there is a NaN
            raise ServerError(f"{self._connection.address} answered with probabilities that are not all from 0 to 1")
        return np.minimum(probabilities, 1.0)

    def _asked(self, metadata, images, deadline):
        return self._retried(lambda: self._connection.probabilities(metadata, images, deadline), deadline)

    def _retried(self, request, deadline):
        for attempt in range(self._attempts - 1):
            try:
                return request()
            except Unavailable:
                # The random part keeps many clients from coming back all at once.
                pause = _PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0)
                if pause >= deadline.left():
                    raise
                time.sleep(pause)
        return request()


def _images_at_once(size):
    """How many images of this height and width keep to both limits of a request."""
    return max(1, min(int(MAX_REQUEST_BYTES // (size * size * 3 * _BYTES_A_VALUE)), MAX_REQUEST_IMAGES))


def _parts(images):
    count = _images_at_once(images.shape[1])
    return [images[start : start + count] for start in range(0, len(images), count)]
