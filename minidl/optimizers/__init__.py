"""Optimisers: receive parameters, gradients and their own slots, return the next values of both.

Importing this package imports every module in it, so a new one is one file.
"""

import importlib
import pkgutil

from minidl.optimizers.base import Optimizer, optimizer

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Optimizer", "optimizer"]
