"""The losses of `i2p_tf` in PyTorch, each a module with the networks in it, to be timed beside them.

All take float images `(batch, 3, height, width)` in [0, 1] and give a scalar. What is frozen is in inference mode.
"""

import torch
from peers.torch_resnet import ResNet20
from peers.torch_unet import UNet
from peers.torch_vgg import Features
from torch import nn
from torch.nn import functional


class TransformLoss(nn.Module):
    """cross_entropy(ψ(p), y) - λ * distance(φ(p), φ(x)), with p = h_θ(x) rounded to 8 bits.

    Args:
        config: a `Config`.
        start: what `keras_steps.Steps.build` gives.
        classes: number of logits.
    """

    def __init__(self, config, start, classes):
        super().__init__()
        self.config = config
        self.network = UNet(start["stackwise_filters"])
        self.classifier = ResNet20(classes).eval().requires_grad_(False)
        self.features = Features().eval().requires_grad_(False)
        for name, values in start["distance"].items():  # "unit" of the squared distance, "mean" of the cosine one
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1))

    def forward(self, images, labels):
        protected = self.network(images).float()
        protected = protected + (torch.round(protected * 255.0) / 255.0 - protected).detach()
        smoothing = self.config.transform_recipe.label_smoothing
        loss = functional.cross_entropy(self.classifier(protected).float(), labels, label_smoothing=smoothing)
        count = round(self.config.feature_batch_fraction * len(images))
        with torch.no_grad():
            plain_features = self.features(images[:count]).float()
        distance = self.distance(self.features(protected[:count]).float(), plain_features)
        return loss - self.config.feature_loss_weight * distance

    def distance(self, a, b):
        """The `SquaredDistance` or `CosineDistance` of the objective, averaged over the batch."""
        if self.config.feature_distance == "squared":
            return functional.mse_loss(a, b) / self.unit.squeeze()
        return 1.0 - functional.cosine_similarity(a - self.mean, b - self.mean, dim=1).mean()


class ClassifierLoss(nn.Module):
    """Cross entropy of ψ; arguments as of `TransformLoss`."""

    def __init__(self, config, start, classes):
        super().__init__()
        self.smoothing = config.classifier_recipe.label_smoothing
        self.network = ResNet20(classes)

    def forward(self, images, labels):
        return functional.cross_entropy(self.network(images).float(), labels, label_smoothing=self.smoothing)


class InverseLoss(nn.Module):
    """Mean squared error of an inverse network, which corrects a linear guess; arguments as of `TransformLoss`."""

    def __init__(self, specification, start, classes):
        super().__init__()
        self.network = UNet(start["stackwise_filters"], channels=6)
        ((kernel, bias),) = start["weights"]["guess"]
        self.register_buffer("kernel", torch.tensor(kernel).permute(2, 3, 0, 1))
        self.register_buffer("bias", torch.tensor(bias).permute(2, 0, 1))

    def forward(self, images, plain):
        guess = self.bias + sum(images[:, i : i + 1] * self.kernel[i] for i in range(3))
        correction = self.network.logits(torch.cat([images, guess], dim=1))
        return functional.mse_loss(guess + correction.float(), plain)


LOSSES = {"transform": TransformLoss, "classifier": ClassifierLoss, "inverse": InverseLoss}


def load_weights(network, layers):
    """Gives a network the weights of Keras' layers.

    Args:
        network: has convolutions, batch normalisations and dense layers, and takes images.
        layers: the arrays of each such layer of Keras, in the order in which they are applied.
    """
    modules = []
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    hooks = [
        module.register_forward_hook(lambda module, *_: modules.append(module))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        network(torch.zeros(1, layers[0][0].shape[2], 32, 32))
        for hook in hooks:
            hook.remove()
        for module, arrays in zip(modules, layers, strict=True):
            for target, array in zip(_tensors(module), arrays, strict=True):
                array = torch.tensor(array)
                array = array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T if array.ndim == 2 else array
                if target.shape != array.shape:
                    raise RuntimeError(f"the network of PyTorch is not the one of Keras: {target.shape}, {array.shape}")
                target.copy_(array)


def _tensors(module):
    """In Keras' order."""
    names = ("weight", "bias", "running_mean", "running_var")
    return [tensor for name in names if (tensor := getattr(module, name, None)) is not None]
