"""Dtypes by name: receives a namespace and the name of a dtype, returns the namespace's object."""

from __future__ import annotations

from typing import Any

from minidl.errors import BackendError

LOW_PRECISION = ("float16", "bfloat16")


def dtype_object(xp: Any, name: str) -> Any:
    """Return what array functions of ``xp`` take as ``dtype=``.

    bfloat16 is no dtype of the array API standard; NumPy, and CuPy from version 14, take the one
    of the package ml_dtypes.

    Raises
    ------
    BackendError
        If ``name`` is bfloat16 and ml_dtypes is not installed.
    """
    if name != "bfloat16":
        return getattr(xp, name)
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        raise BackendError(
            "bfloat16 needs the package ml_dtypes; pip install 'minidl[bfloat16]'"
        ) from None
    return ml_dtypes.bfloat16
