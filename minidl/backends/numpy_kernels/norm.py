"""Kernels of the numpy backend for normalisation: all passes over a part while it is in cache."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minidl import registry
from minidl.backends.base import kernel
from minidl.backends.numpy_kernels.arithmetic import mean

_PART = 1 << 16
"""Elements that stay in a core's second-level cache through many passes over them."""
_ROW = 16
"""Shortest row of which BLAS's dot product is quicker than a product and a sum."""

Axes = tuple[int, ...]


@kernel("numpy", "standardize")
def standardize(
    x: np.ndarray, *, axis: Axes, eps: float, centred: bool, out: np.ndarray
) -> np.ndarray:
    """Centre, centre again, and scale, for some channels at a time."""
    if _is_awkward(out, axis):
        out[...] = registry.get("op", "standardize").run(np, x, axis=axis, eps=eps, centred=centred)
        return out
    for _, rest, target in _parts(axis, x, out):
        side = np.empty((1, rest.shape[1], 1), x.dtype)
        if centred:
            # in one piece, which is what sums quickly
            rest = rest.copy()
            rest -= _mean(rest, side)
            rest -= _mean(rest, side)
        _mean_product(rest, rest, side)
        side += eps
        np.sqrt(side, out=side)
        np.multiply(rest, np.reciprocal(side, out=side), out=target)
    return out


@kernel("numpy", "norm_gradient")
def norm_gradient(
    g: np.ndarray, z: np.ndarray, r: np.ndarray, *, axis: Axes, out: np.ndarray
) -> np.ndarray:
    """r * (g − z * mean(g * z)), for some channels at a time."""
    if _is_awkward(out, axis):
        out[...] = registry.get("op", "norm_gradient").run(np, g, z, r, axis=axis)
        return out
    scale = r.reshape(1, r.size, 1)
    for channels, upstream, normed, target in _parts(axis, g, z, out):
        side = np.empty((1, upstream.shape[1], 1), g.dtype)
        _mean_product(upstream, normed, side)
        work = normed * side
        np.subtract(upstream, work, out=work)
        np.multiply(work, scale[:, channels], out=target)
    return out


def _mean(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write the mean over the outer and inner axis into ``out``."""
    if x.shape[2] == 1:
        mean(x[:, :, 0], axis=(0,), keepdims=True, out=out[:, :, 0])
        return out
    return mean(x, axis=(0, 2), keepdims=True, out=out)


def _mean_product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write the mean of a * b over the outer and inner axis into ``out``."""
    if a.shape[2] < _ROW:
        return _mean(a * b, out)
    rows = np.vecdot(a, b)
    np.add.reduce(rows, axis=0, out=out[0, :, 0])
    return np.divide(out, a.shape[0] * a.shape[2], out=out)


def _is_awkward(out: np.ndarray, axis: Axes) -> bool:
    """Whether the axes that are kept do not stand together, or numbers are too short to sum."""
    kept = [i for i in range(out.ndim) if i not in axis]
    together = not kept or kept[-1] - kept[0] + 1 == len(kept)
    return not (together and out.size and out.flags.c_contiguous and out.dtype.char in "fd")


def _parts(axis: Axes, *arrays: np.ndarray) -> Iterator[tuple]:
    """Yield some channels at a time: which ones, and that part of each array.

    A part has the shape (outer, channels, inner): channels are what the axes that are not in
    ``axis`` hold, outer and inner what lies before and behind them.
    """
    shape = arrays[0].shape
    kept = [i for i in range(len(shape)) if i not in axis]
    first, last = (kept[0], kept[-1] + 1) if kept else (0, 0)
    whole = (math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:]))
    columns = whole[2] == 1
    count = whole[1] if columns else max(1, _PART // (whole[0] * whole[2]))
    views = [array.reshape(whole) for array in arrays]
    for start in range(0, whole[1], count):
        channels = slice(start, start + count)
        yield (channels, *(view[:, channels] for view in views))
