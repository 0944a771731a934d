"""Arrays that a person gives: receives arrays or nested lists, returns arrays that can be used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.errors import DataError, ShapeError
from minidl.graph.spec import DTYPES, is_float


def as_array(values: Any, label: str) -> np.ndarray:
    """Return ``values`` as an array of numbers whose first axis is the samples.

    Parameters
    ----------
    values : array_like
        An array of any library that NumPy can read, or nested lists.
    label : str
        What messages call it.

    Raises
    ------
    DataError
        If it is ragged, a single number, holds something else than real numbers, or has values
        that are masked.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise DataError(
            f"{label} are a masked array, of which {np.ma.count_masked(values)} of {values.size} "
            "values are masked; fill them in (numpy.ma.filled), or leave those samples out"
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{label} are no array: {error}") from None
    if array.dtype.kind not in "biuf" and array.dtype.name not in DTYPES:
        raise DataError(
            f"{label} have dtype {array.dtype}, not real numbers; give an array of one number "
            "dtype (names of classes become numbers with "
            "numpy.unique(names, return_inverse=True))"
        )
    if array.ndim == 0:
        raise DataError(f"{label} are a single number; the first axis must be the samples")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_dtype(array: np.ndarray, dtype: str, label: str) -> np.ndarray:
    """Return ``array`` in the dtype that samples are stored in; floats are rounded.

    Raises
    ------
    DataError
        Naming the first value that an integer dtype does not have, or a float dtype can only
        give as infinite.
    """
    if array.dtype.name == dtype:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(dtype)
    wrong = np.isinf(converted) & np.isfinite(array) if is_float(dtype) else converted != array
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise DataError(
            f"{label}[{', '.join(map(str, place))}] is {array[place]}, but the samples are stored "
            f"as {dtype}, which cannot hold it"
        )
    return converted


def as_samples(values: Any, shape: tuple[int, ...], dtype: str, label: str) -> np.ndarray:
    """Return ``values`` as an array of samples of this shape and dtype.

    Raises
    ------
    ShapeError
        If samples have another shape, with what would give them this one if that is plain.
    DataError
        As :func:`as_array` and :func:`as_dtype` raise it.
    """
    array = as_array(values, label)
    if array.shape[1:] != shape:
        wanted = f"({', '.join(map(str, ('samples', *shape)))}{',' if not shape else ''})"
        raise ShapeError(
            f"the model takes {label} of shape {wanted}, not {array.shape}"
            f"{_advice(array.shape, shape, label)}"
        )
    return as_dtype(array, dtype, label)


def _advice(given: tuple[int, ...], sample: tuple[int, ...], label: str) -> str:
    """Say how to reshape what differs in axes of one, in their order, or is laid out flat."""
    same = (_core(sample), _core((math.prod(sample),)))
    if _core(given) in same:
        return f"; a single sample is a batch of one: numpy.reshape({label}, {(1, *sample)})"
    if _core(given[1:]) in same:
        return f"; reshape them: numpy.reshape({label}, {(-1, *sample)})"
    if len(given) > 2 and (given[-1], *given[1:-1]) == sample:
        return f"; channels come first: numpy.moveaxis({label}, -1, 1)"
    return ""


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)
