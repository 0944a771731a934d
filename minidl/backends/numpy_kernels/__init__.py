"""Kernels of the numpy backend, one file a family: receive arrays and attributes, return arrays.

Each computes one op faster than its pure array-namespace rule does, to which the tests hold it,
and writes into ``out``: an array of the result's shape and dtype that is none of the inputs. Why
each is here, and what it gains, is measured by ``benchmarks/kernels.py``. Importing this package
imports every module in it.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

del importlib, pkgutil, _module
