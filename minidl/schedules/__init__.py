"""Schedules: receive the step, return the factor that the learning rate is multiplied by.

Importing this package imports every module in it, so a new one is one file.
"""

import importlib
import pkgutil

from minidl.schedules.base import Schedule, schedule

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Schedule", "schedule"]
