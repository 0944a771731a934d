"""Data: receives a dataset's declared fields, returns its parts, and from them batches.

One file a dataset. Arrays stay on the host, in the dtype they were stored in (images as uint8),
until a batch of them is used; training batches may go through transforms, and be made ahead in a
thread. Importing this package imports every module in it.
"""

import importlib
import pkgutil

from minidl.data.base import Dataset, dataset
from minidl.data.batches import batch_count, batches, hold_out
from minidl.data.parts import LazyArray, Part, Splits
from minidl.data.transforms import Draws, Transform, transform

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module

__all__ = [
    "Dataset",
    "Draws",
    "LazyArray",
    "Part",
    "Splits",
    "Transform",
    "batch_count",
    "batches",
    "dataset",
    "hold_out",
    "transform",
]
