"""The rules by which an artifact is found to do what the Keras model does."""

import types

import numpy as np
import pytest

from i2p_tf.export import parity
from i2p_tf.export.errors import ParityError

PICTURES = np.random.default_rng(0).integers(0, 250, (3, 8, 8, 3), dtype=np.uint8)
WORDS = np.arange(200) % 3


def check(words, of_codebook=True, exact=True, accuracy=0.9):
    """Compares the pictures of `words` with those of `WORDS`."""
    reference = types.SimpleNamespace(
        protected=PICTURES[WORDS],
        words=3 if of_codebook else None,
        labels=WORDS,
        accuracy=0.9,
        accuracy_of=lambda protected: accuracy,
    )
    return parity.check_transform("file", words, reference, exact)


def with_other_words(count):
    words = WORDS.copy()
    words[:count] = (words[:count] + 1) % 3
    return PICTURES[words]


def test_a_codebook_may_choose_another_word_now_and_then():
    assert check(with_other_words(2))["share_within_1_level"] < parity.REQUIRED_SHARE
    with pytest.raises(ParityError, match="98.50% of the pictures .* --variants or"):
        check(with_other_words(3))
    assert check(with_other_words(3), exact=False)["n"] == 200


def test_of_another_transform_the_values_count():
    assert check(PICTURES[WORDS] + np.uint8(1), of_codebook=False)["share_within_1_level"] == 1.0
    with pytest.raises(ParityError, match="of the values"):
        check(with_other_words(2), of_codebook=False)


def test_a_codebook_that_sends_other_pictures_is_refused_however_close_they_are():
    sent = with_other_words(0)
    sent[0, 0, 0, 0] += 1
    with pytest.raises(ParityError, match="sends 4 different pictures of 3"):
        check(sent, exact=False)


def test_lost_accuracy_is_refused():
    with pytest.raises(ParityError, match="0.8800, with the Keras model 0.9000"):
        check(with_other_words(0), accuracy=0.88)
