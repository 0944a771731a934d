"""Kernels of the numpy backend for pooling: along rows first, then along columns.

A window's maximum is that of its rows' maxima, and the first of equals in it is in the first row
that holds one, so two passes over one axis each take the place of one over windows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidl.backends.base import kernel

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Steps = tuple[int, int, int]
"""Along one axis: elements of a window, step between windows, step within one."""

_BLOCK = 1 << 17
"""Elements of the image that are pooled at a time, so that they stay in the cache."""
_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


@kernel("numpy", "max_pool2d")
def max_pool2d(
    x: np.ndarray,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    out: np.ndarray,
) -> np.ndarray:
    """The greatest of each row of a window, then the greatest of these."""
    down, along = zip(kernel_size, stride, dilation, strict=True)
    images, grids = _planes(x), _planes(out)
    for block in _blocks(images):
        image = _bordered(images[block], padding, -np.inf)
        rows = _reduce(np.maximum, _seen(image, 2, along, out.shape[3]))
        _reduce(np.maximum, _seen(rows, 1, down, out.shape[2]), grids[block])
    return out


@kernel("numpy", "max_pool2d_gradient")
def max_pool2d_gradient(
    g: np.ndarray,
    x: np.ndarray,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    out: np.ndarray,
) -> np.ndarray:
    """Find the winner of each row and of each column of these; put numbers back the same way.

    Within a border −∞ counts as the least finite number, so that the border wins no window.
    """
    down, along = zip(kernel_size, stride, dilation, strict=True)
    images, grids, results = _planes(x), _planes(g), _planes(out)
    for block in _blocks(images):
        image = _bordered(images[block], padding, -np.inf, np.finfo(x.dtype).min)
        best, columns = _winners(_seen(image, 2, along, g.shape[3]))
        _, rows = _winners(_seen(best, 1, down, g.shape[2]))
        _put(grids[block], rows, best, 1, down)
        if any(map(any, padding)):
            _put(best, columns, image, 2, along)
            results[block] = _inner(image, padding)
        else:
            _put(best, columns, results[block], 2, along)
    return out


@kernel("numpy", "sum_pool2d")
def sum_pool2d(
    x: np.ndarray, *, kernel_size: Pair, stride: Pair, padding: Padding, out: np.ndarray
) -> np.ndarray:
    """The sum of each row of a window, then the sum of these."""
    down, along = zip(kernel_size, stride, (1, 1), strict=True)
    images, grids = _planes(x), _planes(out)
    for block in _blocks(images):
        image = _bordered(images[block], padding, 0)
        rows = _reduce(np.add, _seen(image, 2, along, out.shape[3]))
        _reduce(np.add, _seen(rows, 1, down, out.shape[2]), grids[block])
    return out


@kernel("numpy", "sum_pool2d_gradient")
def sum_pool2d_gradient(
    g: np.ndarray,
    *,
    size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    out: np.ndarray,
) -> np.ndarray:
    """Numbers added to their rows, and the rows to their columns."""
    down, along = zip(kernel_size, stride, (1, 1), strict=True)
    height, width = (n + before + after for n, (before, after) in zip(size, padding, strict=True))
    grids, results = _planes(g), _planes(out)
    for block in _blocks(results):
        grid = grids[block]
        rows = np.empty((len(grid), height, grid.shape[2]), g.dtype)
        _put(grid, None, rows, 1, down)
        image = np.empty((len(grid), height, width), g.dtype)
        _put(rows, None, image, 2, along)
        results[block] = _inner(image, padding)
    return out


def _planes(x: np.ndarray) -> np.ndarray:
    """Return images one below the other: (batch · channels, height, width)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _blocks(planes: np.ndarray) -> Iterator[slice]:
    step = max(_BLOCK // max(planes[:1].size, 1), 1)
    for start in range(0, len(planes), step):
        yield slice(start, min(start + step, len(planes)))


def _bordered(
    planes: np.ndarray, padding: Padding, value: float, least: float = -np.inf
) -> np.ndarray:
    """Return planes, at ``least`` within, with their border; themselves where there is none."""
    if not any(map(any, padding)):
        return planes
    size = (n + sum(sides) for n, sides in zip(planes.shape[1:], padding, strict=True))
    result = np.full((len(planes), *size), value, planes.dtype)
    np.maximum(planes, least, out=_inner(result, padding))
    return result


def _inner(planes: np.ndarray, padding: Padding) -> np.ndarray:
    """View the planes without their border."""
    (top, bottom), (left, right) = padding
    return planes[:, top : planes.shape[1] - bottom, left : planes.shape[2] - right]


def _seen(x: np.ndarray, axis: int, steps: Steps, count: int) -> list[np.ndarray]:
    """View, for each place of a window along an axis, the elements there."""
    size, stride, dilation = steps
    before = (slice(None),) * axis
    starts = range(0, size * dilation, dilation)
    return [x[(*before, slice(at, at + (count - 1) * stride + 1, stride))] for at in starts]


def _reduce(
    function: np.ufunc, parts: list[np.ndarray], out: np.ndarray | None = None
) -> np.ndarray:
    if len(parts) == 1:
        out = np.empty(parts[0].shape, parts[0].dtype) if out is None else out
        out[...] = parts[0]
        return out
    result = function(parts[0], parts[1], out=out)
    for part in parts[2:]:
        function(result, part, out=result)
    return result


def _winners(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the greatest at each place, and which part it stands in: the first of equals."""
    best = np.array(parts[0])
    which = np.zeros(best.shape, np.int8 if len(parts) < 128 else np.int64)
    for number, part in enumerate(parts[1:], 1):
        part = np.ascontiguousarray(part)
        better = np.greater(part, best)
        np.maximum(best, part, out=best)
        if number == 1:
            which[...] = better
        else:
            np.maximum(which, better.view(np.int8) * which.dtype.type(number), out=which)
    return best, which


def _put(
    values: np.ndarray, which: np.ndarray | None, out: np.ndarray, axis: int, steps: Steps
) -> None:
    """Add values to the place of their window that ``which`` names, or to all, along an axis."""
    size, stride, dilation = steps
    apart = stride >= (size - 1) * dilation + 1
    if not (apart and stride == size and values.shape[axis] * size == out.shape[axis]):
        out[...] = 0
    targets = _seen(out, axis, steps, values.shape[axis])
    parts = [values] * size if which is None else _shared_out(values, which, size)
    for target, part in zip(targets, parts, strict=True):
        if apart:
            target[...] = part
        else:
            np.add(target, part, out=target)


def _shared_out(values: np.ndarray, which: np.ndarray, size: int) -> list[np.ndarray]:
    """Return, for each number, the values where ``which`` is that number, and 0 elsewhere.

    Done on the bits: without branches, which are mispredicted at random. What no other number
    has is left to the first.
    """
    bits = values.view(_BITS[values.dtype.itemsize])
    rest, others = bits, []
    for number in range(1, size):
        ones = np.negative((which == number).view(np.int8))
        others.append(np.bitwise_and(bits, ones))
        rest = np.bitwise_xor(rest, others[-1])
    return [part.view(values.dtype) for part in (rest, *others)]
