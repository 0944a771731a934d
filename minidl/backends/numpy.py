"""The CPU backend: NumPy itself is the array namespace."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backends.base import Backend, register_backend

_REDUCTIONS_WITH_OUT = ("sum", "max", "min", "prod", "argmax", "mean")

for _module in pkgutil.iter_modules([str(Path(__file__).parent)]):
    if _module.name.startswith("numpy_"):  # importing a file of kernels enters them
        importlib.import_module(f"minidl.backends.{_module.name}")


@register_backend("numpy")
class NumpyBackend(Backend):
    """Arrays in main memory, computed by NumPy and its BLAS."""

    xp = np

    def from_data(self, data: Any, dtype: str | None) -> np.ndarray:
        if hasattr(data, "get") and hasattr(data, "device"):
            data = data.get()
        return np.array(data, dtype=dtype)

    def from_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def to_numpy(self, array: Any) -> np.ndarray:
        return np.array(array)

    def running(self) -> contextlib.AbstractContextManager[Any]:
        return np.errstate(all="ignore")

    def shares_memory(self, a: Any, b: Any) -> bool:
        return np.may_share_memory(a, b)

    def out_function(self, name: str) -> Callable[..., Any] | None:
        function = getattr(np, name, None)
        return function if isinstance(function, np.ufunc) or name in _REDUCTIONS_WITH_OUT else None
