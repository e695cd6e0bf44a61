import numpy as np

from i2p_tf.attacks.kinds.linkage import altered, linkage
from i2p_tf.attacks.specifications import Linkage


def pictures(count=40):
    """Smooth random pictures, as neighbouring pixels of photographs resemble each other."""
    coarse = np.random.default_rng(0).integers(0, 240, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def test_what_altered_does():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    changed = altered(images, shift=1, brighter=8)
    assert changed.dtype == np.uint8
    brighter = np.minimum(images.astype(int) + 8, 255)
    np.testing.assert_array_equal(changed[:, :, 1:], brighter[:, :, :-1])
    np.testing.assert_array_equal(changed[:, :, 0], brighter[:, :, 0])


def test_pictures_that_nothing_hides_are_linked():
    result = linkage(Linkage(), pictures(), lambda images: images)
    assert result["protected"] == result["plain"] == {"top1": 1.0, "top5": 1.0}
    assert result["chance"] == {"top1": 1 / 40, "top5": 5 / 40} and result["n"] == 40


def test_a_constant_links_no_more_than_chance():
    result = linkage(Linkage(), pictures(), lambda images: np.full_like(images, 128))
    assert result["protected"] == result["chance"] and result["plain"]["top1"] == 1.0


def test_pictures_that_share_a_protected_image_are_found_among_each_other():
    def four_kinds(images):
        """One image for the first quarter of the pictures, another one for the second, and so on."""
        kinds = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), np.uint8)
        return kinds.repeat(len(images) // 4, axis=0)

    assert linkage(Linkage(), pictures(), four_kinds)["protected"] == {"top1": 1 / 10, "top5": 5 / 10}


def test_pictures_that_are_unlike_when_protected_are_not_linked():
    def scatter(images):
        """Any change of the picture gives another image of noise."""
        seeds = [int.from_bytes(image.tobytes()[:40], "little") for image in images]
        return np.stack([np.random.default_rng(seed).integers(0, 256, images.shape[1:], np.uint8) for seed in seeds])

    assert linkage(Linkage(), pictures(), scatter)["protected"]["top1"] < 0.2
