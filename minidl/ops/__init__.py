"""The op table: one file a family, one declaration an op.

Receives tensors, returns nodes of the graph. Importing this package imports every module in it,
so a new op is one declaration in one file. An op is an attribute here by its registered name:
``ops.multiply``.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from minidl.graph.op import Op

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Tell type checkers that every op is an attribute here."""


for _module in pkgutil.iter_modules(__path__):
    _loaded = importlib.import_module(f"{__name__}.{_module.name}")
    globals().update(
        {value.name: value for value in vars(_loaded).values() if isinstance(value, Op)}
    )

del importlib, pkgutil, TYPE_CHECKING, Any, Op, _module, _loaded
