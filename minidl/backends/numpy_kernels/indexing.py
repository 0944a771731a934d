"""Kernels of the numpy backend for indexing, joining and padding; they check every index."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minidl.backends.base import kernel
from minidl.errors import DataError, ShapeError

_CHUNK = 32768
"""Elements that are scattered at once; chosen so that their indices stay in the cache."""


@kernel("numpy", "take")
def take(x: np.ndarray, indices: np.ndarray, *, axis: int, out: np.ndarray) -> np.ndarray:
    """x[…, indices, …], checked first: only then may NumPy write into ``out`` unbuffered."""
    return np.take(x, _checked(indices, x.shape[axis], "take"), axis=axis, out=out, mode="clip")


@kernel("numpy", "take_along_axis")
def take_along_axis(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    """Take what ``take`` would in each row, checked as there."""
    return np.take_along_axis(x, _checked(indices, x.shape[axis], "take_along_axis"), axis=axis)


@kernel("numpy", "scatter_add")
def scatter_add(
    x: np.ndarray, indices: np.ndarray, *, shape: tuple[int, ...], axis: int, out: np.ndarray
) -> np.ndarray:
    """Sum into flat places, which NumPy's ``add.at`` does some times faster than into rows."""
    flat_indices = _checked(indices, shape[axis], "scatter_add").reshape(-1)
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    total = out if out.flags.c_contiguous else np.empty_like(out, order="C")
    total[...] = 0
    flat_total = total.reshape(-1)
    starts = np.add.outer(np.arange(outer) * shape[axis], flat_indices).reshape(-1) * inner
    rows = np.ascontiguousarray(x).reshape(starts.size, inner)
    columns = np.arange(inner)
    step = max(_CHUNK // max(inner, 1), 1)
    for first in range(0, starts.size, step):
        places = np.add.outer(starts[first : first + step], columns)
        np.add.at(flat_total, places.reshape(-1), rows[first : first + step].reshape(-1))
    if total is not out:
        out[...] = total
    return out


@kernel("numpy", "ravel_index")
def ravel_index(*indices: np.ndarray, lengths: tuple[int, ...], out: np.ndarray) -> np.ndarray:
    """((i₀ · n₁) + i₁) · n₂ + …, each index checked against its own axis."""
    out[...] = 0
    for index, length in zip(indices, lengths, strict=True):
        np.multiply(out, length, out=out)
        np.add(out, _checked(index, length, "getitem"), out=out)
    return out


@kernel("numpy", "one_hot")
def one_hot(
    indices: np.ndarray, *, num_classes: int, axis: int, dtype: str, out: np.ndarray
) -> np.ndarray:
    """Zeros, and a 1 at each index; ``dtype`` is that of ``out``."""
    if indices.size and not 0 <= indices.min() <= indices.max() < num_classes:
        wrong = (indices < 0) | (indices >= num_classes)
        raise DataError(
            f"class index {_first(indices, wrong)} is not one of {num_classes} classes "
            f"(0 to {num_classes - 1})"
        )
    out[...] = 0
    hot = out if axis == indices.ndim else np.moveaxis(out, axis, -1)
    if hot.flags.c_contiguous:
        starts = np.arange(0, hot.size, max(num_classes, 1))
        hot.reshape(-1)[starts + indices.reshape(-1).astype(np.intp, copy=False)] = 1
    else:
        hot[(*np.indices(indices.shape, sparse=True), indices)] = 1
    return out


@kernel("numpy", "in_range")
def in_range(x: np.ndarray, *, low: int, high: int, name: str, out: np.ndarray) -> np.ndarray:
    """Copy what was checked."""
    if x.size and not low <= x.min() <= x.max() <= high:
        wrong = (x < low) | (x > high)
        raise DataError(f"{name} {_first(x, wrong)} is not from {low} to {high}")
    np.copyto(out, x)
    return out


@kernel("numpy", "concat")
def concat(*arrays: np.ndarray, axis: int, out: np.ndarray) -> np.ndarray:
    """Copy each array to its place."""
    return np.concatenate(arrays, axis=axis, out=out)


@kernel("numpy", "pad")
def pad(
    x: np.ndarray,
    *,
    pad_width: Sequence[tuple[int, int]],
    value: float,
    out: np.ndarray,
) -> np.ndarray:
    """Copy the inner part; fill only the border."""
    inner: list[slice] = []
    for n, (before, after) in zip(x.shape, pad_width, strict=True):
        if before:
            out[(*inner, slice(None, before))] = value
        if after:
            out[(*inner, slice(before + n, None))] = value
        inner.append(slice(before, before + n))
    out[tuple(inner)] = x
    return out


def _checked(indices: np.ndarray, length: int, op: str) -> np.ndarray:
    """Return the indices, negative ones counted from the end; refuse those out of range."""
    if not indices.size:
        return indices.astype(np.intp)
    low, high = indices.min(), indices.max()
    if low < -length or high >= length:
        wrong = (indices < -length) | (indices >= length)
        raise ShapeError(
            f"{op}: index {_first(indices, wrong)} is out of range for an axis of length {length}"
        )
    indices = indices.astype(np.intp, copy=False)
    return indices if low >= 0 else np.where(indices < 0, indices + length, indices)


def _first(indices: np.ndarray, wrong: np.ndarray) -> str:
    """Name the first wrong index, and its place where there is more than one."""
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    return f"{indices[place]} at {list(place)}" if place else f"{indices[place]}"
