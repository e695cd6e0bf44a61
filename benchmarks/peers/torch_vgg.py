"""The feature extractor of `i2p_tf.models.feature_extractor` in PyTorch, to be timed beside it."""

import torch
from torch import nn

MEAN_255 = (123.68, 116.779, 103.939)


class Features(nn.Module):
    """VGG16 to the ReLU of conv2_2: RGB in [0, 1], `(batch, 3, height, width)`, to 128 maps of half the size."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_255).view(3, 1, 1))
        self.layers = nn.Sequential(*conv(3, 64), *conv(64, 64), nn.MaxPool2d(2), *conv(64, 128), *conv(128, 128))

    def forward(self, x):
        return self.layers(255.0 * x - self.mean)


def conv(inputs, filters):
    """A convolution and its ReLU."""
    return nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(inplace=True)
