"""The ResNet-20 of `i2p_tf.models.classifiers.resnet` in PyTorch, to be timed beside it."""

import torch
from torch import nn
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ResNet20(nn.Module):
    """Float RGB images in [0, 1], `(batch, 3, height, width)`, to logits."""

    def __init__(self, classes):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.stem = nn.Sequential(*conv(3, 16, 1), nn.ReLU(inplace=True))
        shapes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(Block(*shape) for shape in shapes))
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        x = self.blocks(self.stem((x - self.mean) / self.std))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """Two convolutions past a shortcut without parameters."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.stride = stride
        self.missing = filters - inputs
        self.convs = nn.Sequential(*conv(inputs, filters, stride), nn.ReLU(inplace=True), *conv(filters, filters, 1))

    def forward(self, x):
        shortcut = x
        if self.missing:
            half = self.missing // 2
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.missing - half))
        return functional.relu(self.convs(x) + shortcut, inplace=True)


def conv(inputs, filters, stride):
    """Convolution and batch normalisation."""
    return nn.Conv2d(inputs, filters, 3, stride, padding=1, bias=False), nn.BatchNorm2d(filters)
