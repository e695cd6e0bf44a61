"""How a report is to be read: the same for every run."""

from i2p_tf.report.blocks import Paragraph, Points, Section, Table

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
            "class read",
            "accuracy of an independent, small classifier on restored images",
            "whether a restored image shows its class",
            "a leak by itself: ψ reads the class anyway. Compare with the floor of the class alone",
        ),
        (
            "source found, top-1 and top-5",
            "share of restored images whose plain image comes first, or among the first five, when all plain test "
            "images are ordered by likeness",
            "whether it can be told whose picture it is",
            "how a better search would do",
        ),
    ),
    words=4,
)

FLOORS = Points(
    (
        "`mean_image` and `random_image` are guesses that look at nothing. An attack at this level has got nothing.",
        "`label_only` draws the picture from ψ's probabilities alone. ψ is meant to read the class, so this much is "
        "given away by design; what an attack gets beyond it is the leak.",
        "An attack below a floor is a weak attack, not a sign of protection.",
        "The headline is the strongest attack by each metric, never a mean over attacks: one that works is enough.",
        "Controls are protections whose result is known beforehand. If one misbehaves, the attacks are too weak on "
        "these data, or wrong, and the whole report is marked as not valid.",
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


def section():
    """The section for the end of a report."""
    return Section(
        "How to read this",
        (
            MEASURES,
            Paragraph("Floors, controls and spread:"),
            FLOORS,
            THREATS,
            Paragraph("What is not promised:"),
            NOT_PROMISED,
        ),
    )
