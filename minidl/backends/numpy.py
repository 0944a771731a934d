"""The CPU backend: NumPy itself is the array namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.backends import numpy_kernels  # noqa: F401  (importing it enters the kernels)
from minidl.backends.base import Backend, register_backend

_REDUCTIONS_WITH_OUT = ("sum", "max", "min", "prod", "argmax", "mean")


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
