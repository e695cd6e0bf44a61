"""Classifiers ψ: this package's own networks, those of `keras.applications`, and those of a user."""
