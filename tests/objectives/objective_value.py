"""A network of each family and the objectives on fixed weights and images, as JSON; the backend is KERAS_BACKEND's."""

import json
import math

import keras
import numpy as np

from i2p_tf import metrics, models
from i2p_tf.channels.mixture import lossy
from i2p_tf.models.adversary import adversary
from i2p_tf.models.feature_extractor import classifier_features
from i2p_tf.objectives.adversarial import AdversarialObjective
from i2p_tf.objectives.classification import Classification
from i2p_tf.objectives.feature_distance import CosineDistance, SquaredDistance
from i2p_tf.objectives.paper import PaperObjective

TRANSFORMS = ("tiny", "bottleneck_small", "codebook_tiny")


def set_weights(model, generator):
    """Weights that depend on shapes alone, of a size that keeps activations near 1."""
    for weight in model.weights:
        if weight.name == "moving_variance":
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name == "kernel":
            fan_in = math.prod(weight.shape[:-1])
            weight.assign(generator.normal(0, math.sqrt(2 / fan_in), weight.shape))
        elif weight.name in ("bias", "gamma", "beta", "moving_mean"):
            weight.assign(generator.normal(weight.name == "gamma", 0.1, weight.shape))


def values():
    """Numbers, or lists of them, by name."""
    generator = np.random.default_rng(0)
    images = generator.random((4, 32, 32, 3), dtype=np.float32)
    labels = np.array([0, 3, 9, 3])
    found = {"jpeg": float(keras.ops.mean(lossy(images)))}
    for name in ("vgg16", "resnet20"):
        classifier = models.classifier(name, 32, 10)
        set_weights(classifier, generator)
        found[name] = float(keras.ops.mean(classifier(images, training=False)))
    for size in TRANSFORMS:
        transform = models.transform(size, 32, 10)
        set_weights(transform, generator)
        protected = transform(images, training=False)
        found[size] = float(keras.ops.mean(protected))
    found["ssim"] = float(keras.ops.mean(metrics.ssim(protected, images)))

    extractor = classifier_features(classifier)
    features = extractor(images, training=False)
    for name, distance in (("squared", SquaredDistance), ("cosine", CosineDistance)):
        classification = Classification(classifier, label_smoothing=0.1)
        terms = PaperObjective(classification, extractor, distance(features), 0.1, 0.5)(images, protected, labels)
        found[name] = [float(terms[term]) for term in ("loss", "cross_entropy", "feature_distance")]
    restorer = adversary(images[0])
    set_weights(restorer, generator)
    classification, guesses = Classification(classifier, 0.5, 0.1), np.repeat(images[:1], 10, axis=0)
    terms = AdversarialObjective(classification, restorer, guesses, 2.0)(images, protected, labels)
    found["adversarial"] = [float(terms[term]) for term in ("loss", "distillation", "adversary_gain")]
    return found


if __name__ == "__main__":
    print(json.dumps({"backend": keras.backend.backend(), "values": values()}))
