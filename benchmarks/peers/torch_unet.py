"""The U-Net of `i2p_tf.models.transforms.unet` in PyTorch, to be timed beside it."""

import torch
from torch import nn


class ConvPair(nn.Sequential):
    """Two blocks of convolution, batch normalisation and ReLU."""

    def __init__(self, inputs, filters):
        super().__init__(*conv(inputs, filters), *conv(filters, filters))


class UNet(nn.Module):
    """Float images in [0, 1], `(batch, channels, height, width)`, to RGB in [0, 1] of the same size.

    Args:
        stackwise_filters: as in `i2p_tf.models.transforms.unet.STACKWISE_FILTERS`.
        channels: of the input.
    """

    def __init__(self, stackwise_filters, channels=3):
        super().__init__()
        pairs = list(zip((channels, *stackwise_filters[:-1]), stackwise_filters, strict=True))
        self.down = nn.ModuleList(ConvPair(inputs, filters) for inputs, filters in pairs)
        steps = list(zip(stackwise_filters[1:], stackwise_filters[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), *conv(inputs, filters)) for inputs, filters in steps
        )
        self.merge = nn.ModuleList(ConvPair(2 * filters, filters) for _, filters in steps)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(stackwise_filters[0], 3, 1)

    def forward(self, x):
        return torch.sigmoid(self.logits(x))

    def logits(self, x):
        """What the sigmoid is applied to."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


def conv(inputs, filters):
    """The layers of one block."""
    return nn.Conv2d(inputs, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
