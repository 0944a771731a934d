"""The GPU backend: CuPy arrays, through array-api-compat's view of CuPy."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidl.backends.base import Backend, register_backend
from minidl.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

_FIRST_WITH_BFLOAT16 = 14
_NOT_INSTALLED = "CuPy is not installed"
_INSTALL = "pip install 'minidl[cuda12]' (or 'minidl[cuda13]', by the driver's CUDA version)"


@functools.cache
def _missing() -> str | None:
    try:
        import cupy
    except ModuleNotFoundError as error:
        return _NOT_INSTALLED if error.name == "cupy" else f"CuPy cannot be imported: {error}"
    except ImportError as error:
        return f"CuPy cannot be imported: {error}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy {cupy.__version__} finds no usable CUDA driver or device ({error})"
    return None if count else f"CuPy {cupy.__version__} sees no CUDA device"


@register_backend("cupy")
class CupyBackend(Backend):
    """Arrays in the memory of one CUDA device."""

    device = "cuda:0"

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        import cupy
        from array_api_compat import cupy as namespace

        self.xp = namespace
        self._cupy = cupy
        self._device = cupy.cuda.Device(int(self.device.partition(":")[2] or 0))

    @classmethod
    def unavailable(cls) -> str | None:
        return _missing()

    @classmethod
    def advice(cls) -> str:
        return _INSTALL if _missing() == _NOT_INSTALLED else ""

    @classmethod
    def devices(cls) -> list[str]:
        if _missing() is not None:
            return []
        import cupy

        return [f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount())]

    def from_data(self, data: Any, dtype: str | None) -> Any:
        with self._device:
            return self._cupy.array(data, dtype=None if dtype is None else self.dtype(dtype))

    def from_numpy(self, array: np.ndarray) -> Any:
        with self._device:
            return self._cupy.asarray(array)

    def to_numpy(self, array: Any) -> np.ndarray:
        return self._cupy.asnumpy(array)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        with self._device:
            return super().empty(shape, dtype)

    def scalar(self, value: bool | int | float, dtype: str) -> Any:
        with self._device:
            return super().scalar(value, dtype)

    def dtype(self, name: str) -> Any:
        version = self._cupy.__version__
        if name == "bfloat16" and int(version.partition(".")[0]) < _FIRST_WITH_BFLOAT16:
            raise BackendError(
                f"bfloat16 needs CuPy {_FIRST_WITH_BFLOAT16} or newer; this is CuPy {version}"
            )
        return super().dtype(name)

    def synchronize(self) -> None:
        try:
            self._device.synchronize()
        except self._cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(f"{self.device} failed: {error}") from error

    def running(self) -> contextlib.AbstractContextManager[Any]:
        return self._cupy.cuda.Device(self._device.id)

    def shares_memory(self, a: Any, b: Any) -> bool:
        return self._cupy.may_share_memory(a, b)

    def out_function(self, name: str) -> Callable[..., Any] | None:
        function = getattr(self._cupy, name, None)
        return function if isinstance(function, self._cupy.ufunc) else None
