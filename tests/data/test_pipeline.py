import numpy as np
import pytest

from i2p_tf.data.dataset import Split
from i2p_tf.errors import InputError

pytestmark = pytest.mark.slow  # loads TensorFlow

COUNT, SIZE = 50, 16


@pytest.fixture(scope="module")
def split():
    """The label of each image is its index, and each image is unlike all others."""
    images = np.random.default_rng(0).integers(1, 256, (COUNT, SIZE, SIZE, 3), np.uint8)
    return Split(images, np.arange(COUNT, dtype=np.int32))


def epoch_of(split, batch_size=8, seed=1, augmentation="none", epoch=0):
    from i2p_tf.data import pipeline

    batches = list(pipeline.training_pipeline(split, batch_size, seed, augmentation, epoch).as_numpy_iterator())
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])


def test_batches(split):
    from i2p_tf.data import pipeline

    dataset = pipeline.training_pipeline(split, 8, 1, "flip_crop", 0)
    assert dataset.cardinality() == COUNT // 8
    for images, labels in dataset.as_numpy_iterator():
        assert images.shape == (8, SIZE, SIZE, 3) and images.dtype == np.float32
        assert labels.shape == (8,) and labels.dtype == np.int32
        assert images.min() >= 0 and images.max() <= 1


def test_every_image_at_most_once_and_with_its_label(split):
    images, labels = epoch_of(split)
    assert len(set(labels)) == len(labels) == 48
    np.testing.assert_array_equal(np.round(images * 255).astype(np.uint8), split.images[labels])


@pytest.mark.parametrize("augmentation", ["none", "crop", "flip_crop"])
def test_epoch_follows_from_seed_and_epoch_alone(split, augmentation):
    run = [epoch_of(split, augmentation=augmentation, epoch=epoch) for epoch in range(3)]
    resumed = epoch_of(split, augmentation=augmentation, epoch=2)
    for uninterrupted, again in zip(run[2], resumed, strict=True):
        np.testing.assert_array_equal(uninterrupted, again)
    assert (run[0][1] != run[1][1]).any()
    assert (run[0][1] != epoch_of(split, augmentation=augmentation, seed=2)[1]).any()


def test_global_random_state_plays_no_part(split):
    import tensorflow as tf

    results = []
    for state in (1, 2):
        np.random.seed(state)
        tf.random.set_seed(state)
        results.append(epoch_of(split, augmentation="flip_crop"))
    np.testing.assert_array_equal(results[0][0], results[1][0])


def shifts_of(image, original):
    """All (mirrored, down, right) by which `original`, on black, becomes `image`."""
    margin = SIZE // 8
    found = []
    for mirrored in (False, True):
        padded = np.pad(original[:, ::-1] if mirrored else original, ((margin, margin), (margin, margin), (0, 0)))
        for top in range(2 * margin + 1):
            for left in range(2 * margin + 1):
                if np.array_equal(padded[top : top + SIZE, left : left + SIZE], image):
                    found.append((mirrored, margin - top, margin - left))
    return found


@pytest.mark.parametrize("augmentation", ["crop", "flip_crop"])
def test_augmentation_flips_and_shifts_within_the_margin(split, augmentation):
    seen = set()
    for epoch in range(4):
        images, labels = epoch_of(split, augmentation=augmentation, epoch=epoch)
        for image, label in zip(np.round(images * 255).astype(np.uint8), labels, strict=True):
            (shift,) = shifts_of(image, split.images[label])
            seen.add(shift)
    mirrored, down, right = (set(values) for values in zip(*seen, strict=True))
    assert mirrored == ({False, True} if augmentation == "flip_crop" else {False})
    assert down == right == {-2, -1, 0, 1, 2}


def test_parts_of_a_batch_are_those_of_the_whole(split):
    from i2p_tf.data import pipeline

    whole, *parts = (
        list(pipeline.training_pipeline(split, 8, 1, "flip_crop", 0, part=part).as_numpy_iterator())
        for part in (None, (0, 3, 6), (1, 2, 4, 5, 7))
    )
    for number, batch in enumerate(whole):
        for mine, values in enumerate(batch):
            np.testing.assert_array_equal(parts[0][number][mine], values[[0, 3, 6]])
            np.testing.assert_array_equal(parts[1][number][mine], values[[1, 2, 4, 5, 7]])


def test_images_are_protected_after_augmentation(split):
    from i2p_tf.data import pipeline

    def first_row_white(images):
        return np.concatenate([np.full_like(images[:, :1], 255), images[:, 1:]], axis=1)

    plain, _ = epoch_of(split, augmentation="crop")
    batches = pipeline.training_pipeline(split, 8, 1, "crop", 0, first_row_white).as_numpy_iterator()
    protected = np.concatenate([images for images, _ in batches])
    assert (protected[:, 0] == 1.0).all()
    np.testing.assert_array_equal(protected[:, 1:], plain[:, 1:])


def test_augmentation_leaves_the_images_in_memory_alone(split):
    before = split.images.copy()
    epoch_of(split, augmentation="flip_crop")
    np.testing.assert_array_equal(split.images, before)


def test_evaluation_gives_everything_in_order(split):
    from i2p_tf.data import pipeline

    dataset = pipeline.evaluation_pipeline(split, 8)
    assert dataset.cardinality() == 7
    batches = list(dataset.as_numpy_iterator())
    assert len(batches[-1][1]) == 2
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), split.labels)
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(images, split.images.astype(np.float32) / np.float32(255))


def test_batch_larger_than_the_training_set(split):
    with pytest.raises(InputError, match="batch size 51 .* has 50 images"):
        epoch_of(split, batch_size=51)
    assert len(epoch_of(split, batch_size=50)[1]) == 50


def test_unknown_augmentation(split):
    with pytest.raises(InputError, match="Did you mean flip_crop?"):
        epoch_of(split, augmentation="flipcrop")


def test_nothing_is_tuned_while_it_runs(split):
    """The thread that tunes sleeps up to a minute, and an iterator waits for it when it ends."""
    from i2p_tf.data import pipeline

    for dataset in (pipeline.training_pipeline(split, 8, 0, "none", 0), pipeline.evaluation_pipeline(split, 8)):
        assert dataset.options().autotune.enabled is False
