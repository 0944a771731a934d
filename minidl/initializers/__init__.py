"""Initialisers: receive a shape and a seed, return the first values of a parameter.

Values are drawn on the CPU from the counter-based generator, whatever the backend, so they are
the same everywhere.
"""

from minidl.initializers.base import Initializer, initializer

__all__ = ["Initializer", "initializer"]
