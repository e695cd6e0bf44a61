"""h_θ for Beam's RunInference, run by LiteRT."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from i2p_tf.bulk import storage
from i2p_tf.client.transform import Transform
from i2p_tf.errors import InputError


class TransformHandler(ModelHandler[np.ndarray, np.ndarray, Transform]):
    """Protects stacks of images; one model a process, which all its threads share.

    An example is uint8 RGB `(n, image_size, image_size, 3)` with any n, the prediction the protected images, of the
    same shape. Several images stand in one example because they are written together.

    Args:
        path: of the .tflite file, where the workers can read it.
        bits: as for `i2p_tf.client.transform.load`.
        threads: images that a process computes at the same time; runners start a process for each core.
    """

    def __init__(self, path: str, bits: int | None = None, threads: int = 1) -> None:
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._path, self._bits, self._threads = path, bits, threads

    def load_model(self) -> Transform:
        content = storage.read(self._path)
        if content is None:
            raise InputError(f"{self._path} does not exist")
        return Transform(self._path, self._threads, self._bits, content)

    def run_inference(
        self, batch: Sequence[np.ndarray], model: Transform, inference_args: dict[str, Any] | None = None
    ) -> Iterator[np.ndarray]:
        return map(model, batch)

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        return sum(images.nbytes for images in batch)
