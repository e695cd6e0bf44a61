"""Named experiments. Each docstring is a lab note: command, hardware, time, measured result or "not yet measured"."""

import dataclasses

from i2p_tf.config import Config, Recipe


def two_cores(dataset: str) -> Config:
    """The default: short enough for two processor cores, and a transform that sends one picture for each class.

    bin/train --dataset=cifar10 --data_dir=DIR, seed 0: classifier 65 min, transform 11 min, both with other work on the
    machine. n = 10,000 8-bit test images: plain 0.9066, protected 0.9006. docs/results/codebook.md has the attacks.

    bin/train --dataset=digits, in bin/demo from a clone: n = 359, plain 0.9972, protected 0.9916. Machine and versions
    as below.
    """
    recipe = Recipe(
        epochs=4,
        minimum_steps=400,
        batch_size=128,
        learning_rate=0.02,
        optimizer="muon",
        weight_decay=0.02,
        follows_data=_follows(dataset),
    )
    if dataset == "digits":
        recipe = dataclasses.replace(recipe, batch_size=32)
    return dataclasses.replace(
        paper_two_cores(dataset),
        transform="codebook",
        objective="codebook",
        channel="jpeg",  # costs a codebook nothing: its pictures are found before its encoder is trained
        transform_recipe=recipe,
    )


def paper_two_cores(dataset: str) -> Config:
    """The paper's kind of objective, with networks and epochs for two cores; its pictures can be reconstructed.

    All: 2 cores of an AMD EPYC (Zen 3, no AVX-512), float32, TensorFlow 2.21.0, Keras 3.15.1, one run.

    bin/train --dataset=digits --preset=paper_two_cores, from a new clone: 3 min 8 s. n = 359 8-bit test images: plain
    0.9972, protected 0.9889, SSIM mean -0.148 (p95 -0.067). Many protected digits can still be read, inverted and
    coloured; SSIM does not notice.

    bin/train --dataset=cifar10 --preset=paper_two_cores --data_dir=DIR --feature_weights=FILE (first two blocks of
    VGG19, normalised), seed 0, when ψ still had 15 epochs of SGD: classifier 40 min, transform 37 min, both with some
    other work on the machine; killed in between and resumed. n = 10,000 8-bit test images: plain 0.8864, protected
    0.8711, SSIM mean 0.133 (median 0.128, p95 0.311, max 0.597), PSNR 12.5 dB. Most objects can still be recognised.
    With λ = 0.7: protected 0.8586, SSIM -0.085. More: docs/results/feature_term.md.
    """
    if dataset == "digits":
        return _digits()
    return Config(
        dataset=dataset,
        augmentation=_augmentation(dataset),
        classifier_recipe=Recipe(
            epochs=20,
            minimum_steps=800,
            batch_size=128,
            learning_rate=0.05,
            optimizer="muon",
            weight_decay=0.02,
            label_smoothing=0.05,
            follows_data=_follows(dataset),
        ),
        transform_recipe=Recipe(
            epochs=8,
            minimum_steps=800,
            batch_size=128,
            learning_rate=0.1,
            clip_norm=1.0,
            follows_data=_follows(dataset),
        ),
        feature_loss_weight=0.35,
        feature_distance="cosine",
        feature_batch_fraction=0.25,
        feature_substitute="classifier",
    )


def code(dataset: str) -> Config:
    """64 bits of a picture leave the device if the client chooses no other number; a network in the cloud reads them.

    bin/train --dataset=cifar10 --preset=code --precision=float32, ψ given, 2 cores of an Intel
    Xeon (AVX-512, AMX) that other machines slowed, seed 0: 63 min (140 to 285 s an epoch, 160 to 320 images/s).
    n = 10,000, mean of seeds 0 to 2: plain 0.9066, 64 bits 0.6898, 128 bits 0.6981, 512 bits 0.7075; the device
    alone 0.6583.

    docs/results/codes.md, and what encoders of a former kind gave, CIFAR-100 among them. The larger ones of today, and
    digits: not yet measured.
    """
    config = two_cores(dataset)
    return dataclasses.replace(
        config,
        transform="code_nano",  # the only encoder of which a gain is measured
        objective="code",
        channel="png",  # drawings are read the same after every channel
        adversary_weight=0.0,  # type: ignore[call-arg]  # of the objective
        transform_recipe=dataclasses.replace(
            config.transform_recipe, epochs=20, minimum_steps=2000, label_smoothing=0.05, weight_decay=0.01
        ),
    )


def adversarial(dataset: str) -> Config:
    """As `paper_two_cores`, with a transform without skips that is trained against a network that reconstructs.

    Of digits, the transform alone (ψ given), machine and versions as above: 2 min 33 s. n = 359: plain 0.9972,
    protected 0.9972, and too much is reconstructed. Of CIFAR-10 shorter recipes are measured only:
    docs/results/NOTES.md and docs/results/privacy_utility/.
    """
    return dataclasses.replace(
        paper_two_cores(dataset),
        transform="bottleneck",
        objective="adversarial",
        adversary_weight=2.0 if dataset == "digits" else 3.0,  # type: ignore[call-arg]  # of the objective
    )


def smoke(dataset: str) -> Config:
    """For trying things out; its numbers mean nothing.

    bin/train --dataset=cifar10 --preset=smoke --data_dir=DIR --feature_weights=FILE, machine and versions as above:
    2 min 42 s in all. n = 10,000 8-bit test images: plain 0.3923, protected 0.3768, SSIM mean 0.021.
    With --classifier=vgg16 --training_images=2000: 4 min 5 s; one epoch of so few teaches it nothing (plain
    0.1246, protected 0.0929, n = 10,000).
    """
    recipe = Recipe(epochs=1, batch_size=128, learning_rate=0.1, clip_norm=1.0, follows_data=_follows(dataset))
    return Config(
        dataset=dataset,
        augmentation=_augmentation(dataset),
        training_images=10_000,
        transform="tiny",
        classifier_recipe=recipe,
        transform_recipe=recipe,
        feature_loss_weight=0.35,
        feature_distance="cosine",
        feature_batch_fraction=0.25,
        feature_substitute="classifier",
    )


def paper(dataset: str) -> Config:
    """Networks, schedule, distance and units of the published code, for a GPU; φ is ImageNet's VGG16 or it stops.

    --feature_unit=variance counts λ in variances of φ's features on plain images, in which it means the same for every
    release of VGG16; environment.json has the variance. In published units, those of φ as it is, its weight depends on
    the scale of the release's features.

    What stays different from the published recipe:
    - φ is the release of VGG16 in Keras, which takes 0..255 with the mean subtracted; the one there takes [0, 1]
      normalised: one λ in published units is another weight;
    - biases and the parameters of batch normalisation do not decay; there they do, by the same 5e-4;
    - ψ and φ see protected images rounded to 8 bits, as they travel, with the gradient of the identity;
    - --precision=auto computes in mixed_float16 on a GPU; --precision=float32 as there. environment.json has which;
    - weights begin as He et al. 2015 have it, there as PyTorch draws them.

    not yet measured
    """
    recipe = Recipe(epochs=200, batch_size=128, learning_rate=0.1, schedule="steps", follows_data=_follows(dataset))
    return Config(
        dataset=dataset,
        augmentation=_augmentation(dataset),
        transform="paper",
        classifier_recipe=recipe,
        transform_recipe=recipe,
        feature_loss_weight=0.01,
        feature_unit="published",
        feature_substitute="none",
    )


def paper_short(dataset: str) -> Config:
    """The published network and objective, and φ, in the units of φ's variance, by a schedule for two cores.

    ψ is trained by the recipe of `paper_two_cores`.

    bin/train --dataset=cifar10 --preset=paper_short --feature_weights=FILE --data_dir=DIR, ψ given, φ the first blocks
    of a VGG19, normalised; 2 cores of an Intel Xeon (AVX-512, AMX), mixed_bfloat16, seed 0: 39 min, beside other work
    (epochs of 7.5 to 20 min; 100 images/s with little beside it). n = 10,000: plain 0.9066, protected 0.8989, SSIM mean
    0.672: people see everything, and a linear map gets the pictures back at 0.971 (n = 2,000).
    docs/results/feature_term.md has other λ, docs/results/paper_table/ the attacks.
    """
    published, short = paper(dataset), paper_two_cores(dataset)
    return dataclasses.replace(
        published,
        classifier_recipe=short.classifier_recipe,
        transform_recipe=dataclasses.replace(
            short.transform_recipe, epochs=3, batch_size=128, follows_data=_follows(dataset)
        ),
        feature_loss_weight=0.03,  # type: ignore[call-arg]  # of the objective
        feature_unit="variance",
    )


def _digits():
    """Few images, and strokes instead of surfaces: smaller batches, another λ (docs/results/feature_term.md)."""
    return Config(
        dataset="digits",
        augmentation="crop",
        classifier_recipe=Recipe(epochs=12, batch_size=32, learning_rate=0.05, label_smoothing=0.05),
        transform_recipe=Recipe(epochs=10, batch_size=32, learning_rate=0.05, clip_norm=1.0),
        feature_loss_weight=1.0,
        feature_weights="classifier",  # needs no network, and is the same everywhere
    )


PRESETS = {
    preset.__name__: preset for preset in (two_cores, paper_two_cores, code, adversarial, smoke, paper, paper_short)
}
DEFAULT = two_cores.__name__


def _augmentation(dataset):
    """Mirrored digits are no digits."""
    return "crop" if dataset == "digits" else "flip_crop"


def _follows(dataset):
    """The others may have few or large pictures."""
    return dataset not in ("digits", "cifar10", "cifar100")
