"""What a client has to know of a served model, from either protocol."""

import dataclasses

from i2p_tf.client.errors import ServerError

MAX_CLASSES = 1 << 15  # ImageNet-21k has 21,841
MAX_IMAGE_SIZE = 2048  # of the networks that this is for
_MAX_VERSION = (1 << 63) - 1
SIGNATURES = ("serving_default", "image_bytes", "class_names")  # that bin/export writes


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    """Of one version of a model.

    Attributes:
        version: its number.
        image_size: height and width of its images.
        class_count: how many classes it tells apart.
    """

    version: int
    image_size: int
    class_count: int

    @classmethod
    def from_shapes(cls, version: int, shapes: dict[str, dict[str, list[int]]], address: str) -> "ModelMetadata":
        """Reads the shapes of a model's tensors.

        Args:
            version: its number.
            shapes: signature -> name of an input or output -> list of dimensions.
            address: of the server, for messages.

        Raises:
            ServerError: if it is no classifier that bin/export has written.
        """
        missing = [name for name in SIGNATURES if name not in shapes]
        if missing:
            raise ServerError(
                f"the model at {address} has no signature {' and no '.join(missing)}: it is not one that "
                "this version's bin/export writes; export it again"
            )
        try:
            _, height, width, channels = shapes["serving_default"]["images"]
            _, class_count = shapes["serving_default"]["probabilities"]
        except (KeyError, ValueError) as error:
            raise ServerError(f"the model at {address} is no image classifier of bin/export") from error
        if (
            height != width
            or channels != 3
            or not 1 <= height <= MAX_IMAGE_SIZE
            or not 1 <= class_count <= MAX_CLASSES
            or not 0 <= version <= _MAX_VERSION
        ):
            raise ServerError(
                f"the model at {address} takes images of {height}x{width}x{channels} and knows {class_count} classes; "
                f"it has to take square RGB images of 1 to {MAX_IMAGE_SIZE} pixels, know 1 to {MAX_CLASSES} classes "
                "and have a version of at most 63 bits"
            )
        return cls(version, height, class_count)
