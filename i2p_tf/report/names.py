"""Plain names for attacks and prior-only baselines; the names in results.json are those of the folders in attacks/."""

import re

from i2p_tf.attacks.rows import ATTACKS, NETWORKS

PRIOR_ONLY = {
    "mean_image": "mean image",
    "random_image": "some other picture",
    "label_only": "class alone",
}
LOSSES = {
    "mse": "squared error",
    "mse_ssim": "squared error and SSIM",
    "mse_perceptual": "squared and perceptual error",
}


def plain(name: str) -> str:
    """The name of an attack or prior-only baseline in words; of one that is not known, its own without underscores."""
    if match := _pattern().fullmatch(name):
        return _in_words(*match.groups())
    return PRIOR_ONLY.get(name, name.replace("_", " "))


def _pattern():
    """As `attacks.specifications` and `attacks.attack` put the names together."""
    kinds, networks, losses = ("|".join(names) for names in (ATTACKS, NETWORKS, LOSSES))
    trained = rf"(?:_({networks}))?(?:_({losses}))?(_class)?(?:_(\d+)_pairs)?(_other_pictures_\w+)?"
    return re.compile(f"({kinds}){trained}")


def _in_words(kind, network, loss, asks_classifier, pairs, others):
    parts = [ATTACKS[kind].title]
    if network:
        parts.append(NETWORKS[network].title)
    if loss:
        parts.append(LOSSES[loss])
    if asks_classifier:
        parts.append("sees ψ's answer")
    if pairs:
        parts.append(f"{int(pairs):,} leaked pairs")
    if others:
        parts.append("learned from other pictures")
    return ", ".join(parts)
