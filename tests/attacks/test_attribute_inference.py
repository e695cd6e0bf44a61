"""An attribute that shows, in a protection that keeps it, in one that doesn't, and beside its prior_only."""

import numpy as np
import pytest

from i2p_tf.attacks.kinds.attribute_inference import attribute_inference
from i2p_tf.attacks.specification import Training
from i2p_tf.data.dataset import Split

pytestmark = pytest.mark.slow


def split(count, seed):
    """Noise whose upper or lower half is bright: the attribute. In class 1 it is the lower half for 9 of 10."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 80, (count, 16, 16, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % 2
    lower = np.where(np.arange(count) % 20 == 1, 0, labels).astype(np.int32)
    images[lower == 0, :8] += 150
    images[lower == 1, 8:] += 150
    return Split(images, labels, lower)


def test_what_shows_is_read_and_what_is_hidden_is_not():
    train, test = split(400, 0), split(200, 1)
    training = Training(steps=60, batch_size=32)

    def inferred(protect):
        return attribute_inference(train, test, 2, protect, training, 0, lambda line: None)

    shown, hidden = inferred(lambda images: 255 - images), inferred(lambda images: np.full_like(images, 128))
    assert shown["n"] == 200 and shown["plain"] > 0.95 and shown["protected"] > 0.95
    assert hidden["plain"] == shown["plain"]
    assert hidden["protected"] <= hidden["majority"]
    assert shown["majority"] == pytest.approx(0.55) and shown["majority_given_class"] == pytest.approx(0.95)
