"""For tools that know no pyproject.toml, which has everything."""

from setuptools import setup

setup()
