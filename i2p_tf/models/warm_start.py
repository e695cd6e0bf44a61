"""An encoder that begins where ψ ended."""

from i2p_tf.hints import Network
from i2p_tf.models.inner_layers import plain_layers


def start_encoder(transform: Network, classifier: Network) -> bool:
    """Gives h_θ the weights of the layers that ψ has under the same names and in the same shapes.

    Where ψ is a residual network of this package that is the encoder of a bottleneck and that of a codebook, with its
    logits; nothing where it is another: where the first layer differs, later ones that fit do so by chance.

    Returns:
        Whether any layer was given weights.
    """
    started = False
    of_classifier = {layer.name: layer.get_weights() for layer in plain_layers(classifier)}
    for layer in filter(lambda layer: layer.weights, transform.layers):
        weights = of_classifier.get(layer.name, [])
        if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(weights)
            started = True
        elif not started:
            return False
    return started
