"""3x3 convolutions with a fraction of the multiplications: minimal filtering (Winograd 1980; Lavin & Gray 2016).

The image is cut into tiles that overlap. A tile d and a kernel g are mapped to matrices of the same small size, whose
products, summed over the channels, are mapped back to a tile of the result: Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. The products
are matrix products over all tiles; the mappings cost little where there are many channels. The results are those of a
convolution but for rounding: in float32 within about 1e-5 of the largest, in bfloat16 with twice the error of a
convolution in bfloat16.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from i2p_tf.hints import Tensor


@dataclasses.dataclass(frozen=True)
class Filtering:
    """One algorithm, in one dimension.

    Attributes:
        tile: Bᵀ, `(products, step + 2)`, of a tile of the image, which is `step` pixels away from the next one.
        kernel: G, `(products, 3)`.
        result: Aᵀ, `(results, products)`, to as many pixels of the result.
    """

    tile: np.ndarray
    kernel: np.ndarray
    result: np.ndarray

    @property
    def step(self) -> int:
        return self.tile.shape[1] - 2

    def mappings(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The matrices from all rows (or columns) of an image to all its tiles, and back; zeros surround the image.

        Returns:
            Tuple of `(products * tiles, size)` and `(results, products * tiles)`.
        """
        tiles = size // self.step
        products, results = len(self.tile), len(self.result)
        to_tiles = np.zeros((products, tiles, size + 2), np.float32)
        to_result = np.zeros((tiles, results, products, tiles), np.float32)
        for tile in range(tiles):
            start = tile * self.step
            to_tiles[:, tile, start : start + self.step + 2] = self.tile
            to_result[tile, :, :, tile] = self.result
        shape = products * tiles
        return to_tiles[:, :, 1:-1].reshape(shape, size), to_result.reshape(results * tiles, shape)


F2 = Filtering(  # 2 pixels of the result from 4 products instead of 6
    tile=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    kernel=np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    result=np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
)
F4 = Filtering(  # 4 from 6 instead of 12
    tile=np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    kernel=np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
    result=np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
)
# 2 pixels behind nearest upsampling, from 3 products instead of 6: of the pixel and its differences to both neighbours.
UPSAMPLED = Filtering(
    tile=np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]),
    kernel=np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]]),
    result=np.array([[1, 1, 0], [0, 1, 1]]),
)


def convolve(images: Tensor, kernel: Tensor, filtering: Filtering) -> Tensor:
    """A convolution with zeros around the images ("same").

    Args:
        images: `(n, height, width, inputs)`; height and width are multiples of the step of `filtering`.
        kernel: `(3, 3, inputs, outputs)`.
        filtering: a `Filtering`.

    Returns:
        `(n, height, width, outputs)`; with `UPSAMPLED`, of twice the height and width.
    """
    _, height, width, inputs = images.shape
    outputs = kernel.shape[-1]
    products = len(filtering.kernel)
    rows, columns = height // filtering.step, width // filtering.step
    (row_tiles, result_rows), (column_tiles, result_columns) = map(filtering.mappings, (height, width))

    tiles = _map(images, row_tiles, column_tiles)
    tiles = ops.reshape(tiles, (-1, products, rows, products, columns, inputs))
    tiles = ops.reshape(ops.transpose(tiles, (1, 3, 0, 2, 4, 5)), (products**2, -1, inputs))
    to_products = _constant(np.kron(filtering.kernel, filtering.kernel), images.dtype)
    kernels = ops.matmul(to_products, ops.reshape(kernel, (9, -1)))
    result = ops.matmul(tiles, ops.reshape(kernels, (products**2, inputs, outputs)))
    result = ops.reshape(result, (products, products, -1, rows, columns, outputs))
    result = ops.reshape(ops.transpose(result, (2, 0, 3, 1, 4, 5)), (-1, products * rows, products * columns, outputs))
    return _map(result, result_rows, result_columns)


def _map(images, rows, columns):
    """Multiplies height and width by a matrix each."""
    _, height, width, channels = images.shape
    images = ops.matmul(_constant(rows, images.dtype), ops.reshape(images, (-1, height, width * channels)))
    images = ops.matmul(_constant(columns, images.dtype), ops.reshape(images, (-1, width, channels)))
    return ops.reshape(images, (-1, len(rows), len(columns), channels))


def _constant(matrix, dtype):
    return ops.convert_to_tensor(matrix, dtype)


# Where a processor multiplies bfloat16 itself, products are cheap beside mappings: what gains are small maps of many
# channels.
BFLOAT16_SIZE, BFLOAT16_CHANNELS = 8, 256


@keras.saving.register_keras_serializable("i2p_tf")
class Conv2D(keras.layers.Conv2D):
    """Keras' layer over NHWC feature maps, with the same weights, and the same results but for rounding.

    In training, and where it is frozen, it takes minimal filtering wherever that is faster: for 3x3 kernels and many
    channels, on a processor (the libraries of GPUs do so by themselves). A network that may be trained infers with
    Keras' own convolution, which exporters know.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        infers = self.trainable and not training
        if infers or not self._gains(inputs):
            return super().call(inputs)
        outputs = self._filtered(inputs)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _gains(self, inputs):
        _, height, width, channels = inputs.shape
        return (
            (self.kernel_size, self.strides, self.padding) == ((3, 3), (1, 1), "same")
            and height % 2 == width % 2 == 0
            and self._pays(max(height, width), channels)
            and _on_processor()
        )

    def _pays(self, size, channels):
        """Whether the products that are saved cost more than the mappings; measured in benchmarks/NOTES.md."""
        if self.compute_dtype == "bfloat16":
            return size <= BFLOAT16_SIZE and min(channels, self.filters) >= BFLOAT16_CHANNELS
        # Multiplying costs inputs * outputs a pixel, mapping (inputs + outputs) * size.
        return self.compute_dtype in ("float32", "float64") and (
            channels * self.filters > (channels + self.filters) * size
        )

    def _filtered(self, inputs):
        _, height, width, _ = inputs.shape
        # F4 in bfloat16 has ten times the error of a convolution, F2 twice.
        wide = self.compute_dtype != "bfloat16" and height % 4 == width % 4 == 0
        return convolve(inputs, self.kernel, F4 if wide else F2)


@keras.saving.register_keras_serializable("i2p_tf")
class UpsampledConv2D(Conv2D):
    """A `Conv2D` for feature maps that nearest upsampling has doubled: it computes with every second pixel alone."""

    def _filtered(self, inputs):
        return convolve(inputs[:, ::2, ::2], self.kernel, UPSAMPLED)


def _on_processor():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
