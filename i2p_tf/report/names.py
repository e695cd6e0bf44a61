"""Plain names for attacks and floors; the names in results.json are those of the folders in attacks/."""

import re

NAMES = {
    "as_is": "what is sent, as it is",
    "feature_reconstruction": "inverted pixels folded back",
    "gradient_inversion": "gradient descent through h_θ",
    "linear_map": "linear map of whole images",
    "mean_image": "mean image",
    "random_image": "some other picture",
    "label_only": "class alone",
}
ARCHITECTURES = {
    "unet_tiny": "tiny U-Net",
    "unet_small": "small U-Net",
    "unet_paper": "the paper's U-Net",
    "residual": "residual network",
    "wide": "wide network",
}
LOSSES = {
    "mse": "squared error",
    "mse_ssim": "squared error and SSIM",
    "mse_perceptual": "squared and perceptual error",
}
_NETWORKS, _LOSSES = "|".join(ARCHITECTURES), "|".join(LOSSES)
# As `attacks.suite` and `attacks.run` put the names together.
_GAN = re.compile(rf"gan_({_NETWORKS})")
_INVERSE_NETWORK = re.compile(
    rf"inverse_network_({_NETWORKS})_({_LOSSES})(_class)?(?:_(\d+)_pairs)?(_other_pictures_\w+)?"
)


def plain(name):
    """The name of an attack or floor in words; of one that is not known, its own without underscores."""
    if match := _INVERSE_NETWORK.fullmatch(name):
        return _inverse_network(*match.groups())
    if match := _GAN.fullmatch(name):
        return f"unpaired GAN, {ARCHITECTURES[match[1]]}"
    return NAMES.get(name, name.replace("_", " "))


def _inverse_network(architecture, loss, asks_classifier, pairs, others):
    parts = ["inverse network", ARCHITECTURES[architecture], LOSSES[loss]]
    if asks_classifier:
        parts.append("sees ψ's answer")
    if pairs:
        parts.append(f"{int(pairs):,} leaked pairs")
    if others:
        parts.append("learned from other pictures")
    return ", ".join(parts)
