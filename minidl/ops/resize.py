"""Images and sequences of another size: interpolated, or with a border of their own elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.op import op, sample
from minidl.graph.spec import DEFAULT_FLOAT, Spec, check_dtype, is_float
from minidl.ops.indexing import take
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
        down, along = (
            interpolation_matrix(
                n, m, step=_ratio(step), align_corners=align_corners, dtype=x.dtype
            )
            for n, m, step in zip(x.shape[2:], target, steps, strict=True)
        )
        return down @ (x @ along.T)


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
            x = take(x, tensor(places, "int64", name=f"places{axis}"), axis=axis)
    return x


def _scaled(i: int, step: tuple[int, int] | float) -> int:
    if isinstance(step, tuple):
        return i * step[0] // step[1]
    return math.floor(i * step)


def _ratio(step: tuple[int, int] | float) -> float:
    return step[0] / step[1] if isinstance(step, tuple) else step


def _repeated(x: Any, axis: int, times: int) -> Any:
    """Return x with each element along an axis several times in a row."""
    if times == 1:
        return x
    before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
    apart: Any = broadcast_to(x.reshape(*before, 1, *after), (*before, times, *after))
    return apart.reshape(*before[:-1], before[-1] * times, *after)


@op(
    "interpolation_matrix",
    no_gradient="it has no inputs",
    samples=[
        sample(length=3, size=5),
        sample(length=4, size=2, align_corners=True, dtype="float64"),
        sample(length=4, size=5, step=0.75),
    ],
)
class interpolation_matrix:
    """The matrix that interpolates between neighbours along an axis, as "bilinear" does.

    z_ih = max(0, 1 − |p_i − h|),  where p_i is the place of new element i among the old ones

    Parameters
    ----------
    length, size : int
        How many elements there are, and how many there shall be.
    step : float, optional
        Distance of new elements; default length / size.
    align_corners : bool
        Whether the first and last elements stay the first and last.
    dtype : str
    """

    def normalize(length, size, *, step=None, align_corners=False, dtype=DEFAULT_FLOAT):
        return {
            "length": operator.index(length),
            "size": operator.index(size),
            "step": None if align_corners else float(length / size if step is None else step),
            "align_corners": bool(align_corners),
            "dtype": check_dtype(dtype),
        }

    def infer(length, size, *, step=None, align_corners=False, dtype=DEFAULT_FLOAT):
        if length < 1 or size < 1:
            raise ShapeError(f"nothing lies between {length} elements in {size} places")
        return Spec((size, length), dtype)

    def forward(xp, *, length, size, step, align_corners, dtype):
        rows = [[0.0] * length for _ in range(size)]
        for i, row in enumerate(rows):
            place = _place(i, length, size, step)
            low = min(math.floor(place), length - 1)
            row[low] += 1 - (place - low)
            row[min(low + 1, length - 1)] += place - low
        return xp.asarray(rows, dtype=dtype_object(xp, dtype))


def _place(i: int, length: int, size: int, step: float | None) -> float:
    """Return where among the old elements a new one lies."""
    if step is None:
        return i * (length - 1) / (size - 1) if size > 1 else 0.0
    return max((i + 0.5) * step - 0.5, 0.0)


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
        x = take(x, tensor(places, "int64", name=f"places{axis}"), axis=axis)
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


@op(
    "pad_circular",
    samples=[
        sample((2, 4), pad_width=((0, 0), (2, 3))),
        sample((1, 3, 4), pad_width=((0, 0), (1, 3), (4, 0))),
    ],
)
class pad_circular:
    """The value with a border that goes on at its other end, as if it were a ring.

    z[…,i,…] = x[…, (i − before) mod n, …]

    Parameters
    ----------
    pad_width : sequence of (int, int)
        How much before and after, for each axis; at most its length.
    """

    def compose(x, /, pad_width):
        return _bordered("pad_circular", x, pad_width, operator.mod, 0)
