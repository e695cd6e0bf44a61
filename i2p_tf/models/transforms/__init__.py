"""Transformation networks h_θ."""
