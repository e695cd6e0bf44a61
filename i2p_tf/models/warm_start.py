"""An encoder that begins where ψ ended."""


def start_encoder(transform, classifier):
    """Gives h_θ the weights of the layers that ψ has under the same names and in the same shapes.

    Where ψ is a residual network that is the encoder of a bottleneck and that of a codebook, with its logits; nothing
    where it is another.

    Returns:
        Whether any layer was given weights.
    """
    started = False
    of_classifier = {layer.name: layer.get_weights() for layer in classifier.layers}
    for layer in transform.layers:
        weights = of_classifier.get(layer.name, [])
        if weights and [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(weights)
            started = True
    return started
