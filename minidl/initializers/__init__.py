"""Initialisers: receive a shape and a random key, return the first values of a parameter.

Values are drawn on the CPU from the counter-based generator, whatever the backend, so they are
the same everywhere. Importing this package imports every module in it.
"""

import importlib
import pkgutil

from minidl.initializers.base import Initializer, initializer

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Initializer", "initializer"]
