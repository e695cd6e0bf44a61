"""The table of objectives: how h_θ is trained."""

import dataclasses

from i2p_tf.models.transforms.table import CODE, CODEWORD, PICTURE, Transform
from i2p_tf.tables import Parameter, Table

DISTILLATION_WEIGHT = Parameter(
    "distillation_weight",
    0.5,
    "share of the classification loss, 0 to 1, that the classifier's outputs on the plain image have; the labels have "
    "the rest",
    maximum=1,
)
ADVERSARY_WEIGHT = Parameter(
    "adversary_weight", 2.0, "weight of the network that reconstructs, which is trained along; 0 leaves it out"
)


@dataclasses.dataclass(frozen=True)
class Objective:
    """An objective.

    Attributes:
        name: of `--objective`.
        help: what it is, in a line.
        trainer: the function of a `setting.Setting` that gives the `trainer.Trainer` of h_θ.
        trains: words for what is sent of a picture; it can train the transforms that have one of them as `sends`.
        label: what a table says of it; `{name}` stands for the value of a parameter.
        description: the same in a sentence.
        check: the function of a `Config`, its `Dataset` and ψ, or None where that is not trained yet, that raises an
            `InputError` for what would else stop the training of h_θ hours later; None if there is nothing to check.
        quantization_aware: whether h_θ can be trained on by it with rounded weights.
        parameters: of its own.
    """

    name: str
    help: str
    trainer: object
    trains: tuple = (PICTURE,)
    label: str = ""
    description: str = ""
    check: object = None
    quantization_aware: bool = False
    parameters: tuple = ()


OBJECTIVES = Table(
    "objective",
    [
        Objective(
            "codebook",
            "classification by the encoder of a codebook",
            "i2p_tf.objectives.codebook:trainer",
            trains=(CODEWORD,),
            label="one picture for each class",
            description="one picture for each class",
            check="i2p_tf.objectives.codebook:check",
            parameters=(DISTILLATION_WEIGHT,),
        ),
        Objective(
            "paper",
            "cross entropy and the feature term",
            "i2p_tf.objectives.paper:trainer",
            label="paper's, λ = {feature_loss_weight:g}, {feature_distance}",
            description="the paper's objective, λ = {feature_loss_weight:g}, `{feature_distance}` distance",
            check="i2p_tf.objectives.paper:check",
            quantization_aware=True,
            parameters=(
                Parameter("feature_loss_weight", 0.01, "λ, the weight of the feature term"),
                Parameter(
                    "feature_distance",
                    "squared",
                    "distance in the feature term: squared, the paper's, or cosine, which contrast does not change",
                    allowed=("squared", "cosine"),
                ),
                Parameter(
                    "feature_unit",
                    "variance",
                    "unit of the squared distance: published, mean squared differences of features as they are, or "
                    "variance, that of the features on plain images, so that a weight means the same for all features",
                    allowed=("published", "variance"),
                ),
                Parameter(
                    "feature_batch_fraction",
                    1.0,
                    "share of each batch, above 0 to 1, on which the feature term is computed; below 1 it is an "
                    "unbiased estimate",
                    maximum=1,
                    zero=False,
                ),
                Parameter(
                    "feature_weights",
                    "imagenet",
                    "where the features come from: imagenet (VGG16, downloaded), classifier (the trained classifier's "
                    "own) or a file of VGG16's weights",
                    allowed=("imagenet", "classifier"),
                    file=True,
                ),
                Parameter(
                    "feature_substitute",
                    "classifier",
                    "what takes the place of imagenet where it can't be had: classifier, or none, which stops",
                    allowed=("classifier", "none"),
                ),
            ),
        ),
        Objective(
            "adversarial",
            "classification against a network that reconstructs, which is trained along",
            "i2p_tf.objectives.adversarial:trainer",
            label="adversarial, weight {adversary_weight:g}",
            description="the adversarial objective, weight {adversary_weight:g}",
            parameters=(
                ADVERSARY_WEIGHT,
                DISTILLATION_WEIGHT,
            ),
        ),
        Objective(
            "code",
            "classification by the reader of a code, against a network that reconstructs, for all numbers of bits",
            "i2p_tf.objectives.code:trainer",
            trains=(CODE,),
            label="code, adversary's weight {adversary_weight:g}",
            description="a code and its reader, the adversary's weight {adversary_weight:g}",
            parameters=(ADVERSARY_WEIGHT, DISTILLATION_WEIGHT),
        ),
    ],
)


def trained_by(transform: Transform) -> list[Objective]:
    """The objectives that can train a row of the transforms' table."""
    return [row for row in OBJECTIVES.values() if transform.sends in row.trains]
