"""Metrics: receive predictions and targets batch by batch, return a number for a whole part.

Importing this package imports every module in it, so a new one is one file.
"""

import importlib
import pkgutil

from minidl.metrics.base import Metric, metric

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Metric", "metric"]
