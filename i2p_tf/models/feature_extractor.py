"""The feature extractor φ of the objective: ImageNet VGG16 up to the ReLU of conv2_2, frozen (paper, section III)."""

import keras
from keras import layers

from i2p_tf.errors import InputError
from i2p_tf.models.inner_layers import feature_maps
from i2p_tf.models.layers.minimal_filtering import Conv2D

# Filters of the convolutions; "pool" is a 2x2 maximum. Names are those of `keras.applications.VGG16`.
LAYERS = (
    ("block1_conv1", 64),
    ("block1_conv2", 64),
    ("block1_pool", None),
    ("block2_conv1", 128),
    ("block2_conv2", 128),
)
# Mean of the ImageNet training images in 0..255, RGB, as the released weights expect it to be subtracted.
MEAN_255 = (123.68, 116.779, 103.939)


def vgg16_features(image_size: int, weights: str) -> keras.Model:
    """Builds φ from ImageNet weights.

    Args:
        image_size: height and width of the images.
        weights: `"imagenet"` (`keras.applications` downloads them), or the path of a weights file that Keras wrote for
            VGG16 without its top, or for only its layers up to `block2_conv2`.

    Returns:
        A frozen functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to features
        `(batch, image_size / 2, image_size / 2, 128)`.

    Raises:
        ValueError, OSError: if the file is not of this network, or the download fails.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(255.0, offset=[-mean for mean in MEAN_255], name="normalization")(images)
    for name, filters in LAYERS:
        if filters is None:
            x = layers.MaxPooling2D(2, name=name)(x)
        else:
            x = Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
    model = keras.Model(images, x, name="feature_extractor")
    _copy_weights(_released_vgg16(weights), model)
    model.trainable = False
    return model


def classifier_features(classifier: keras.Model) -> keras.Model:
    """φ where ImageNet weights can't be had: the feature maps of the trained classifier at half resolution.

    Returns:
        A frozen functional model on the classifier's own input whose output is its last layer with half the height
        and width of the image, so that the place of the features in the network resembles that of `conv2_2`. Where
        none has that size, it is the next smaller one; where none is smaller, the last layer that gives maps at all.

    Raises:
        InputError: if no layer gives any, or none can be reached from outside.
    """
    images = keras.Input(classifier.input_shape[1:], name="images")
    try:
        maps = [one for one in feature_maps(classifier, images) if one.shape[1:] != images.shape[1:]]
        sizes = {one.shape[1] for one in maps if 1 < one.shape[1] <= images.shape[1] // 2}
        fitting = [one for one in maps if one.shape[1] == max(sizes)] if sizes else maps
        model = keras.Model(images, fitting[-1], name="feature_extractor")
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{classifier.name} shows no feature maps; the paper's objective needs --feature_weights=FILE, and "
            "a codebook (the preset two_cores) needs none"
        ) from error
    model.trainable = False
    return model


def _released_vgg16(weights):
    """The Keras application with `weights`, cut behind the last layer that φ needs."""
    last = LAYERS[-1][0]
    if weights == "imagenet":
        vgg = keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(None, None, 3))
        return keras.Model(vgg.input, vgg.get_layer(last).output)
    vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    cut = keras.Model(vgg.input, vgg.get_layer(last).output)
    try:
        cut.load_weights(weights)
    except ValueError:  # a file of the whole network has more layers than the cut one
        vgg.load_weights(weights)
    return cut


def _copy_weights(released, model):
    for name, filters in LAYERS:
        if filters is not None:
            model.get_layer(name).set_weights(released.get_layer(name).get_weights())
    # The release takes BGR: its first kernel, turned round, takes RGB.
    first = model.get_layer(LAYERS[0][0])
    kernel, bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1, :], bias])
