"""Builds every model and prints, as JSON, the objective on fixed weights and images; the backend is KERAS_BACKEND's."""

import json
import math

import keras
import numpy as np

from i2p_tf import metrics, models
from i2p_tf.models.adversary import adversary
from i2p_tf.models.bottleneck import SIZES
from i2p_tf.models.codebook import STACKWISE_BLOCKS
from i2p_tf.models.feature_extractor import classifier_features
from i2p_tf.models.unet import STACKWISE_FILTERS
from i2p_tf.training.objective import DISTANCES, AdversarialObjective, Classification, PaperObjective
from i2p_tf.training.transport import lossy_transport

CLASSIFIERS = ("resnet20", "resnet32", "resnet44", "resnet56", "vgg16")


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


def main():
    generator = np.random.default_rng(0)
    images = generator.random((4, 32, 32, 3), dtype=np.float32)
    labels = np.array([0, 3, 9, 3])
    values = {}
    for name in CLASSIFIERS:
        classifier = models.classifier(name, 32, 10)
        set_weights(classifier, generator)
        values[name] = float(keras.ops.mean(classifier(images, training=False)))
    classifier = models.classifier("resnet20", 32, 10)
    set_weights(classifier, generator)
    extractor = classifier_features(classifier)
    features = extractor(images, training=False)
    objectives = {
        name: PaperObjective(
            Classification(classifier, label_smoothing=0.1),
            extractor,
            distance(features),
            0.1,
            0.5,
        )
        for name, distance in DISTANCES.items()
    }
    values["jpeg"] = float(keras.ops.mean(lossy_transport(images)))
    restorer = adversary(images[0])
    set_weights(restorer, generator)
    against_adversary = AdversarialObjective(
        Classification(classifier, 0.5, 0.1), restorer, np.repeat(images[:1], 10, axis=0), 2.0
    )
    for size in (*STACKWISE_FILTERS, *SIZES, *STACKWISE_BLOCKS):
        transform = models.transform(size, 32, 10)
        set_weights(transform, generator)
        protected = transform(images, training=False)
        for distance, objective in objectives.items():
            terms = objective(images, protected, labels)
            names = ("loss", "cross_entropy", "feature_distance")
            values[f"{size} {distance}"] = [float(terms[name]) for name in names]
        terms = against_adversary(images, protected, labels)
        values[f"{size} adversarial"] = [float(terms[name]) for name in ("loss", "distillation", "adversary_gain")]
        values[f"{size} ssim"] = float(keras.ops.mean(metrics.ssim(protected, images)))
    print(json.dumps({"backend": keras.backend.backend(), "values": values}))


if __name__ == "__main__":
    main()
