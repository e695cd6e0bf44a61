"""How a report is to be read: the same for every run."""

from i2p_tf.report.blocks import Details, Points, Section, Table

MEASURES = Table(
    "What the figures mean",
    ("figure", "is", "says", "does not say"),
    (
        (
            "SSIM",
            "likeness of structure where it stands; 1 is the same image, 0 none",
            "after an attack: how much of the picture is back",
            "of a protected image that is not attacked: that people can't recognise it. Inverted contrast has an SSIM "
            "below 0 and is read by everybody",
        ),
        (
            "PSNR",
            "size of the error of the pixels in dB; higher is nearer",
            "how exact the colours are",
            "whether the picture can be recognised",
        ),
        (
            "class accuracy",
            "accuracy of an evaluation classifier, small and independent of ψ, on reconstructed images",
            "whether a reconstructed image shows its class",
            "a leak by itself: ψ finds the class anyway. Compare with the prior-only baseline of the class alone",
        ),
        (
            "re-identification top-1 and top-5",
            "share of reconstructed images whose plain image comes first, or among the first five, when all plain test "
            "images are ordered by likeness",
            "whether it can be told whose picture it is",
            "how a better search would do",
        ),
        (
            "expected calibration error",
            "mean distance of ψ's highest probability and its accuracy, in 15 equal bins (Guo et al. 2017); 0 is best",
            "whether a probability of 0.9 means right nine times in ten",
            "whether ψ is right: one that always says what it knows it knows badly is calibrated too",
        ),
        (
            "accuracy on the most confident",
            "accuracy when answers below a threshold are left out; equal confidences count in part",
            "whether a threshold tells sure answers from doubtful ones",
            "anything about pictures of other kinds",
        ),
    ),
    words=4,
)

PRIOR_ONLY = Points(
    (
        "The mean image and some other picture are guesses that look at nothing. An attack at this level has got "
        "nothing.",
        "The class alone: a picture is drawn from the class that ψ finds. ψ is meant to read the class, so this much "
        "is given away by design; what an attack gets beyond it is the leak.",
        "An attack below a prior-only baseline is a weak attack, not a sign of protection.",
        "The headline is the strongest attack by each metric, never a mean over attacks: one that works is enough.",
        "Sanity checks are protections whose result is known beforehand. If one misbehaves, the attacks are too weak "
        "on these data, or wrong, and the whole report is marked as not valid.",
        "Every number stands with its n, the number of test images. A range is that over seeds; one seed has none.",
    )
)

THREATS = Table(
    "Who attacks",
    ("threat model", "the attacker holds"),
    (
        ("T0", "protected images, and perhaps other plain pictures of the same kind"),
        (
            "T1",
            "besides: any number of pairs. h_θ is public, so anybody can make them; of a keyed method, of one key",
        ),
        ("T2", "besides: the weights of h_θ, to search through it by gradients; keyed methods have none"),
        ("T3", "a limited number of leaked pairs"),
    ),
    words=2,
)

NOT_PROMISED = Points(
    (
        "No proof stands behind any figure. An attack that fails here says little about one that was not tried.",
        "The class is not hidden: ψ reads it, and whoever has h_θ can train a classifier on images protected with it.",
        "Everything is measured on test images of one data set; pictures of other kinds may come out legible.",
        "Equal pictures give equal protected images, so whoever guesses the picture can check the guess.",
    )
)


def section() -> Section:
    """The section for the end of a report."""
    return Section(
        "How to read this",
        (
            Details("What the figures mean", (MEASURES,)),
            Details("Prior-only baselines, sanity checks and spread", (PRIOR_ONLY,)),
            Details("Who attacks", (THREATS,)),
            Details("What is not promised", (NOT_PROMISED,)),
        ),
    )
