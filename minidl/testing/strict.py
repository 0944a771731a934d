"""A backend that allows only what the array API standard does; for tests, not for speed."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

import numpy as np

from minidl.backends import Backend, register_backend


@register_backend("array_api_strict")
class ArrayApiStrictBackend(Backend):
    """The arrays of ``array-api-strict``: what runs here has no need of NumPy's extras.

    It has no kernels and no ``out=``, so every op runs by its pure array-namespace rule.
    """

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        import array_api_strict

        self.xp = array_api_strict

    @classmethod
    def unavailable(cls) -> str | None:
        if importlib.util.find_spec("array_api_strict") is None:
            return "array-api-strict is not installed; pip install 'minidl[test]'"
        return None

    def from_data(self, data: Any, dtype: str | None) -> Any:
        return self.from_numpy(np.array(data, dtype=dtype))

    def from_numpy(self, array: np.ndarray) -> Any:
        return self.xp.asarray(array)

    def to_numpy(self, array: Any) -> np.ndarray:
        return np.array(array)

    def running(self) -> contextlib.AbstractContextManager[Any]:
        return np.errstate(all="ignore")
