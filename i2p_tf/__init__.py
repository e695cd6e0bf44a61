"""Image to Perturbation: images that a cloud classifier can read and people can't.

The package itself imports neither TensorFlow nor Keras; what needs them is imported where it is used.
"""

__version__ = "0.1.0"
