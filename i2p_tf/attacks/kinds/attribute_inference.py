"""What else than the class a network learns to read from protected images."""

import numpy as np

from i2p_tf import inference
from i2p_tf.attacks.evaluation_classifier import train_classifier
from i2p_tf.attacks.specifications import AttributeInference, Training
from i2p_tf.attacks.target import Target
from i2p_tf.data.dataset import Split
from i2p_tf.hints import Protect, Say, Values


def attack(specification: AttributeInference, target: Target, seed: int, say: Say) -> Values:
    """As a row of `rows.ATTACKS` has it."""
    values, training = target.attribute_values, specification.training
    return attribute_inference(target.train, target.test, values, target.protect, training, seed, say)


def attribute_inference(
    train: Split, test: Split, values: int, protect: Protect, training: Training, seed: int, say: Say
) -> Values:
    """Trains one classifier of the attribute on protected images and, for comparison, one on plain images.

    Args:
        train, test: `data.dataset.Split`s with an attribute.
        values: how many values the attribute can have.
        protect: function of uint8 images to protected ones.
        training: a `Training`.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        A dictionary of accuracies on test images, `protected` and `plain`; of the guesses that look at no picture,
        `majority`, the most frequent value in training, and `majority_given_class`, the most frequent one of the true
        class, which is what somebody knows who reads the class alone; and `n`.
    """
    assert train.attribute is not None
    accuracy = {}
    for kind, seen in (("protected", protect), ("plain", lambda images: images)):
        say(f"  from {kind} images")
        network = train_classifier(seen(train.images), train.attribute, values, training, seed, say)
        accuracy[kind] = _share(inference.classify(network, seen(test.images)), test)
    counts = np.zeros((1 + max(train.labels.max(), test.labels.max()), values), np.int64)
    np.add.at(counts, (train.labels, train.attribute), 1)
    return accuracy | {
        "majority": _share(counts.sum(axis=0).argmax(), test),
        "majority_given_class": _share(counts.argmax(axis=1)[test.labels], test),
        "n": len(test.labels),
    }


def _share(guesses, test):
    return float(np.mean(guesses == test.attribute))
