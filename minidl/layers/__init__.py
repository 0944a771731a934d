"""Layers: receive tensors, return tensors, and declare parameters for the shapes they meet.

One file a family. A layer is a component (:mod:`minidl.component`): its declared fields are its
config. Importing this package imports every module in it.
"""

import importlib
import pkgutil

from minidl.layers.base import Context, Layer, Parameter, layer

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = ["Context", "Layer", "Parameter", "layer"]
