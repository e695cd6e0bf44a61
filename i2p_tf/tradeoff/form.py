"""The form of tradeoff.json."""

import typing

from i2p_tf.forms import Count


class Attacker(typing.TypedDict):
    """What one attacker gets of n codes; PSNR in dB."""

    ssim: float
    psnr: float
    reidentification_top1: float
    n: Count


class Row(typing.TypedDict):
    """Of one number of bits.

    Attributes:
        bits: how many are sent.
        protected: accuracy of the cloud on them, in [0, 1].
        plain: accuracy of ψ on plain images.
        device_only: accuracy of the device-only baseline; null if the device computes too little for any.
        gain: `protected - device_only`.
        client_macs: MACs of the encoder.
        psi_macs: MACs of ψ.
        ceiling_ssim: mean SSIM of the strongest attacker on the same encoder, trained only to be reconstructed.
        class_alone_ssim: mean SSIM of a guess from the right class.
        strongest_attack: name of the strongest attacker by mean SSIM.
        strongest_ssim: its mean SSIM.
        leakage: share of the way from `class_alone_ssim` to `ceiling_ssim`; null if the ceiling is not above the class.
        reidentification_top1: share of images that a guess leads to among the first 2,000, of the best attacker.
        linkage: share of images whose code is nearest to that of a slightly altered view.
        attacks: each attacker by its name.
        png_bytes: mean size of a PNG file of the drawings of the first test images.
        n: test images that accuracies and SSIM have.
        seeds: of the runs; of several runs numbers are means, and `range` has the lowest and highest of each.
        steps: how long attackers and ceiling were trained; the device-only networks were as long as h_θ.
        config: of the run, without folders.
        command: that measures it again.
    """

    bits: int
    protected: float
    plain: float
    device_only: float | None
    gain: float | None
    client_macs: int
    psi_macs: int
    ceiling_ssim: float
    class_alone_ssim: float
    strongest_attack: str
    strongest_ssim: float
    leakage: float | None
    reidentification_top1: float
    linkage: float
    attacks: dict[str, Attacker]
    png_bytes: float
    dataset: str
    classifier: str
    n: Count
    seeds: list[int]
    steps: int
    config: dict
    command: str


class Tradeoff(typing.TypedDict):
    """The whole file.

    Attributes:
        rows: one for each number of bits.
        device_only: the device-only baselines, and which is the best on validation images.
        class_alone: the guess from the right class.
        sanity_checks: attackers on codes that are all the same, and the sanity checks that failed, a line each.
        environment: versions, processor, commit.
        seconds: of the last command alone.
    """

    rows: list[Row]
    device_only: dict
    class_alone: dict
    sanity_checks: dict
    environment: dict
    seconds: float
