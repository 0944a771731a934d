"""The CPU backend: NumPy itself is the array namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.backends import numpy_kernels  # noqa: F401  (importing it enters the kernels)
from minidl.backends.base import Backend, register_backend
from minidl.backends.dtypes import LOW_PRECISION, dtype_object

_REDUCTIONS_WITH_OUT = ("sum", "max", "min", "prod", "argmax", "mean")


@register_backend("numpy")
class NumpyBackend(Backend):
    """Arrays in main memory, computed by NumPy and its BLAS."""

    xp = np

    def from_data(self, data: Any, dtype: str | None) -> np.ndarray:
        if hasattr(data, "get") and hasattr(data, "device"):
            data = data.get()
        return np.array(data, dtype=None if dtype is None else self.dtype(dtype))

    def from_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def to_numpy(self, array: Any) -> np.ndarray:
        return np.array(array)

    def running(self) -> contextlib.AbstractContextManager[Any]:
        return np.errstate(all="ignore")

    def shares_memory(self, a: Any, b: Any) -> bool:
        return np.may_share_memory(a, b)

    def check_precision(self, dtype: str) -> str:
        super().check_precision(dtype)
        return (
            f"{dtype} is emulated on the CPU, rounding what is computed in float32: "
            f"results are those of {dtype}, speed is below that of float32"
        )

    def function_for(self, node: Any) -> tuple[Callable[..., Any], bool]:
        compute, takes_out = self.function(node.op)
        if node.op.view or not any(child.dtype in LOW_PRECISION for child in node.inputs):
            return compute, takes_out
        return _emulated(compute, takes_out, node), False

    def out_function(self, name: str) -> Callable[..., Any] | None:
        function = getattr(np, name, None)
        return function if isinstance(function, np.ufunc) or name in _REDUCTIONS_WITH_OUT else None


def _emulated(compute: Callable[..., Any], takes_out: bool, node: Any) -> Callable[..., Any]:
    """Return what computes ``node`` in float32 from low-precision inputs, and rounds the result.

    So do the matrix units of a GPU. NumPy's own float16 has no BLAS and adds up in float16.
    """
    result = np.dtype(dtype_object(np, node.dtype))
    wide = np.dtype(np.float32) if node.dtype in LOW_PRECISION else result

    def rounded(*arrays: np.ndarray, **attributes: Any) -> np.ndarray:
        widened = [a.astype(np.float32) if a.dtype.name in LOW_PRECISION else a for a in arrays]
        if takes_out:
            attributes["out"] = np.empty(node.shape, wide)
        return np.asarray(compute(*widened, **attributes)).astype(result, copy=False)

    return rounded
