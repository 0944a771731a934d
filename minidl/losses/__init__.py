"""Losses: receive predictions and targets, return a scalar to minimise.

Importing this package imports every module in it, so a new one is one file.
"""

import importlib
import pkgutil

from minidl.losses.base import Loss, loss

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Loss", "loss"]
