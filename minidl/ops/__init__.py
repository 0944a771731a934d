"""The op table: one file a family, one declaration an op.

Receives tensors, returns nodes of the graph. Importing this package imports every module in it,
so a new op is one declaration in one file. An op is an attribute here by its registered name:
``ops.multiply``.
"""

import importlib
import pkgutil

from minidl.graph.op import Op

for _module in pkgutil.iter_modules(__path__):
    _loaded = importlib.import_module(f"{__name__}.{_module.name}")
    globals().update(
        {value.name: value for value in vars(_loaded).values() if isinstance(value, Op)}
    )

del importlib, pkgutil, Op, _module, _loaded
