"""Kernels of the numpy backend for normalisation: all passes over a part while it is in cache."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minidl import registry
from minidl.backends.base import kernel
from minidl.backends.numpy_kernels import mean

_PART = 1 << 16
"""Elements that stay in a core's second-level cache through many passes over them."""

Axes = tuple[int, ...]
_OVER = (0, 2)


@kernel("numpy", "standardize")
def standardize(
    x: np.ndarray, *, axis: Axes, eps: float, centred: bool, out: np.ndarray
) -> np.ndarray:
    """Centre, centre again, and scale, for some channels at a time."""
    if _is_awkward(out, axis):
        out[...] = registry.get("op", "standardize").run(np, x, axis=axis, eps=eps, centred=centred)
        return out
    for rest, target in _parts(axis, x, out):
        side = np.empty((1, rest.shape[1], 1), x.dtype)
        if centred:
            centre = mean(rest, axis=_OVER, keepdims=True, out=side)
            rest = np.subtract(rest, centre, out=np.empty(rest.shape, rest.dtype))
            rest -= mean(rest, axis=_OVER, keepdims=True, out=side)
        mean(np.square(rest), axis=_OVER, keepdims=True, out=side)
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
    first = 0
    scale = r.reshape(1, r.size, 1)
    for upstream, normed, target in _parts(axis, g, z, out):
        channels = slice(first, first := first + upstream.shape[1])
        side = np.empty((1, upstream.shape[1], 1), g.dtype)
        work = upstream * normed
        mean(work, axis=_OVER, keepdims=True, out=side)
        np.multiply(normed, side, out=work)
        np.subtract(upstream, work, out=work)
        np.multiply(work, scale[:, channels], out=target)
    return out


def _is_awkward(out: np.ndarray, axis: Axes) -> bool:
    """Whether the axes that are kept do not stand together, or numbers are too short to sum."""
    kept = [i for i in range(out.ndim) if i not in axis]
    together = not kept or kept[-1] - kept[0] + 1 == len(kept)
    return not (together and out.size and out.flags.c_contiguous and out.dtype.char in "fd")


def _parts(axis: Axes, *arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield some channels at a time of each array, in the shape (outer, channels, inner).

    Channels are what the axes that are not in ``axis`` hold, outer and inner what lies before and
    behind them. All arrays but the last, which is written to, come as contiguous memory.
    """
    shape = arrays[0].shape
    kept = [i for i in range(len(shape)) if i not in axis]
    first, last = (kept[0], kept[-1] + 1) if kept else (0, 0)
    whole = (math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:]))
    count = max(1, _PART // (whole[0] * whole[2]))
    views = [array.reshape(whole) for array in arrays]
    for start in range(0, whole[1], count):
        *read, written = (view[:, start : start + count] for view in views)
        yield (*(np.ascontiguousarray(part) for part in read), written)
