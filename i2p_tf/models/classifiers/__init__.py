"""Classifiers ψ that are not this package's own networks: those of a user, and those of `keras.applications`."""
