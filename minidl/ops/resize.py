"""Images and sequences of another size: interpolated, or with a border of their own elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minidl.errors import ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.op import op, sample
from minidl.graph.spec import is_float
from minidl.ops.indexing import take
from minidl.ops.pool import separable
from minidl.ops.shape import broadcast_to

MODES = ("nearest", "bilinear")


@op(
    "interpolate",
    samples=[
        sample((2, 3, 2, 3), scale_factor=2),
        sample((1, 2, 3, 4), size=(5, 2)),
        sample((1, 2, 3, 4), size=(5, 6), mode="bilinear"),
        sample((1, 2, 3, 4), size=(5, 1), mode="bilinear", align_corners=True),
        sample((1, 2, 3, 4), scale_factor=(1.5, 0.5), mode="bilinear"),
        sample((1, 2, 4), scale_factor=3),
    ],
)
class interpolate:
    """Images, or sequences, of another size, as in PyTorch.

    z[n,c,i,j] = Σ_hw A[i,h] · x[n,c,h,w] · B[j,w]

    "nearest" takes the element at ⌊i · H / h⌋ of H, for a height of h. "bilinear" weighs the two
    rows and two columns around (i + ½) · H / h − ½, or around i · (H − 1) / (h − 1) where corners
    are aligned.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width) or (batch, channels, length)
    size : int or tuple of int, optional
        Of the result.
    scale_factor : float or tuple of float, optional
        In place of ``size``; sizes are rounded down, and positions are divided by it.
    mode : "nearest" or "bilinear"
        Sequences take "nearest".
    align_corners : bool
        For "bilinear", whether corner elements stay at the corners.

    Raises
    ------
    ShapeError
        If the size is missing, given twice or below 1.
    """

    def compose(x, /, *, size=None, scale_factor=None, mode="nearest", align_corners=False):
        _check(x, mode, align_corners)
        target, steps = _target(x.shape[2:], size, scale_factor)
        if mode == "nearest":
            return _nearest(x, target, steps)
        axes = list(zip(x.shape[2:], target, steps, strict=True))
        return separable(x, *(_weights(*axis, align_corners) for axis in axes))


def _check(x: Any, mode: str, align_corners: bool) -> None:
    if x.ndim not in (3, 4) or min(x.shape[2:]) < 1 or not is_float(x.dtype):
        raise ShapeError(
            f"interpolate: takes floats of shape (batch, channels, height, width) or (batch, "
            f"channels, length) that have elements, not {x.spec}"
        )
    if mode not in MODES or (mode == "bilinear" and x.ndim != 4):
        raise ShapeError(
            f"interpolate: mode {mode!r} does not fit a value of shape {x.shape}: it is 'nearest', "
            f"or 'bilinear' for images"
        )
    if align_corners and mode != "bilinear":
        raise ShapeError("interpolate: corners are aligned in mode 'bilinear' alone")


def _target(
    old: tuple[int, ...], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[tuple[int, int] | float, ...]]:
    """Return the new size, and by what a position is multiplied to be one of the old."""
    if (size is None) == (scale_factor is None):
        raise ShapeError("interpolate: give either size or scale_factor")
    if size is not None:
        target = _each(size, len(old), "size")
        steps: Any = tuple(zip(old, target, strict=True))
    else:
        scales = _each(scale_factor, len(old), "scale_factor")
        target = tuple(math.floor(n * s) for n, s in zip(old, scales, strict=True))
        steps = tuple(1 / s if s > 0 else 1.0 for s in scales)
    if min(target) < 1:
        raise ShapeError(f"interpolate: from size {old} comes {target}, which has no elements")
    return target, steps


def _each(given: Any, count: int, name: str) -> tuple[Any, ...]:
    values = tuple(given) if isinstance(given, Sequence) else (given,) * count
    if len(values) != count:
        raise ShapeError(f"interpolate: {name} {given!r} is not one number, or {count}")
    return values


def _nearest(x: Any, target: tuple[int, ...], steps: Sequence[Any]) -> Any:
    for axis, (n, step) in enumerate(zip(target, steps, strict=True), 2):
        old = x.shape[axis]
        places = [min(_scaled(i, step), old - 1) for i in range(n)]
        times = n // old
        if places == [i // times if times else -1 for i in range(n)]:
            x = _repeated(x, axis, times)
        elif places != list(range(old)):
            x = take(x, tensor(places, dtype="int64"), axis=axis)
    return x


def _scaled(i: int, step: tuple[int, int] | float) -> int:
    if isinstance(step, tuple):
        return i * step[0] // step[1]
    return math.floor(i * step)


def _repeated(x: Any, axis: int, times: int) -> Any:
    """Return x with each element along an axis several times in a row."""
    if times == 1:
        return x
    before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
    apart: Any = broadcast_to(x.reshape(*before, 1, *after), (*before, times, *after))
    return apart.reshape(*before[:-1], before[-1] * times, *after)


def _weights(old: int, new: int, step: Any, align_corners: bool) -> list[list[float]]:
    """Return the matrix that interpolates between old elements at the places of new ones."""
    rows = []
    for i in range(new):
        if align_corners:
            place = i * (old - 1) / (new - 1) if new > 1 else 0.0
        else:
            ratio = step[0] / step[1] if isinstance(step, tuple) else step
            place = max((i + 0.5) * ratio - 0.5, 0.0)
        low = min(math.floor(place), old - 1)
        high, share = min(low + 1, old - 1), place - low
        row = [0.0] * old
        row[low] += 1 - share
        row[high] += share
        rows.append(row)
    return rows


def _bordered(
    name: str, x: Any, pad_width: Any, place: Callable[[int, int], int], limit: int | None
) -> Any:
    """Return x with a border whose elements are taken from ``place(index, length)``."""
    widths = [tuple(operator.index(n) for n in pair) for pair in pad_width]
    if len(widths) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in widths):
        raise ShapeError(
            f"{name}: pad_width {pad_width} does not give (before, after), from 0 on, for each of "
            f"{x.ndim} axes"
        )
    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        if not before and not after:
            continue
        if n == 0 or (limit is not None and max(before, after) > n - limit):
            raise ShapeError(
                f"{name}: a border of {max(before, after)} cannot be made from axis {axis} of "
                f"length {n}"
            )
        places = [place(i, n) for i in range(-before, n + after)]
        x = take(x, tensor(places, dtype="int64"), axis=axis)
    return x


def _mirrored(i: int, n: int) -> int:
    return min(abs(i), 2 * n - 2 - i)


def _held(i: int, n: int) -> int:
    return min(max(i, 0), n - 1)


@op(
    "pad_reflect",
    samples=[
        sample((2, 4), pad_width=((0, 0), (2, 3))),
        sample((1, 3, 4), pad_width=((0, 0), (1, 2), (3, 0))),
    ],
)
class pad_reflect:
    """The value with a border that mirrors it at its first and last elements.

    z[…,i,…] = x[…, |i − before|, …],  and as much at the end

    Parameters
    ----------
    pad_width : sequence of (int, int)
        How much before and after, for each axis; less than its length.
    """

    def compose(x, /, pad_width):
        return _bordered("pad_reflect", x, pad_width, _mirrored, 1)


@op(
    "pad_replicate",
    samples=[
        sample((2, 4), pad_width=((0, 0), (2, 3))),
        sample((1, 3, 4), pad_width=((0, 0), (1, 0), (5, 1))),
    ],
)
class pad_replicate:
    """The value with a border that repeats its first and last elements.

    z[…,i,…] = x[…, min(max(i − before, 0), n − 1), …]

    Parameters
    ----------
    pad_width : sequence of (int, int)
        How much before and after, for each axis.
    """

    def compose(x, /, pad_width):
        return _bordered("pad_replicate", x, pad_width, _held, None)
