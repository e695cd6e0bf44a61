"""The ImageNet normalisation that ψ and φ apply to images in [0, 1]."""

from keras import layers

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def imagenet_normalization(name: str = "normalization") -> layers.Layer:
    """A layer for RGB in [0, 1]: subtracts the ImageNet mean, divides by its standard deviation."""
    return layers.Rescaling(
        scale=[1.0 / std for std in IMAGENET_STD],
        offset=[-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
        name=name,
    )
