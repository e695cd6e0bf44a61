"""Layers that Keras has not, or not as fast."""
