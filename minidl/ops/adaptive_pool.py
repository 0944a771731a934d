"""Pooling over as many windows as are asked for: their places follow from the size of an image.

Window i of m along an axis of n elements is that of the elements ⌊i n / m⌋ … ⌈(i + 1) n / m⌉ − 1,
as in PyTorch; where m divides n, these are plain windows of n / m elements.
"""

from __future__ import annotations

import operator
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import DEFAULT_FLOAT, Spec, check_dtype
from minidl.ops.conv import Pair, pair, single
from minidl.ops.indexing import take
from minidl.ops.pool import as_image, avg_pool2d, max_pool2d
from minidl.ops.reduction import mean
from minidl.ops.shape import squeeze

_FIRST = "of equal maxima in a window the first, row by row, receives the gradient"


@op(
    "adaptive_avg_pool2d",
    samples=[
        sample((2, 2, 5, 7), output_size=(2, 3)),
        sample((2, 2, 4, 6), output_size=2),
        sample((2, 2, 4, 3), output_size=1),
        sample((1, 2, 2, 3), output_size=(3, 3)),
        sample((1, 2, 3, 4), output_size=(None, 3)),
    ],
)
class adaptive_avg_pool2d:
    """Means of windows that are chosen so that there are a given number of them.

    z[n,c,i,j] = mean of x[n, c, ⌊i H / h⌋ … ⌈(i + 1) H / h⌉ − 1, ⌊j W / w⌋ … ⌈(j + 1) W / w⌉ − 1]

    for images of H x W and an output of h x w.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width)
    output_size : int or (int, int)
        Size of the result; None in place of one of two leaves that axis as it is.

    Raises
    ------
    ShapeError
        If x is not of images that have elements.
    """

    def compose(x, /, output_size):
        size = _checked(x, output_size)
        if size == (1, 1):
            return mean(x, axis=(2, 3), keepdims=True)
        if all(n % m == 0 for n, m in zip(x.shape[2:], size, strict=True)):
            kernel = tuple(n // m for n, m in zip(x.shape[2:], size, strict=True))
            return avg_pool2d(x, kernel_size=kernel)
        down, along = (
            averaging_matrix(n, m, dtype=x.dtype) for n, m in zip(x.shape[2:], size, strict=True)
        )
        return down @ (x @ along.T)


@op(
    "adaptive_max_pool2d",
    kink=_FIRST,
    samples=[
        sample(Draw((2, 2, 5, 7), distinct=True), output_size=(2, 3)),
        sample(Draw((2, 2, 4, 6), distinct=True), output_size=2),
        sample(Draw((1, 2, 2, 3), distinct=True), output_size=(3, 2)),
    ],
)
class adaptive_max_pool2d:
    """Greatest elements of windows that are chosen so that there are a given number of them.

    z[n,c,i,j] = max of x[n, c, ⌊i H / h⌋ … ⌈(i + 1) H / h⌉ − 1, ⌊j W / w⌋ … ⌈(j + 1) W / w⌉ − 1]

    for images of H x W and an output of h x w. Windows of several lengths are made one by
    repeating the last row or column of the shorter ones, which changes no maximum.

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, height, width)
    output_size : int or (int, int)
        Size of the result; None in place of one of two leaves that axis as it is.

    Raises
    ------
    ShapeError
        If x is not of images that have elements.
    """

    def compose(x, /, output_size):
        kernel = []
        for axis, m in enumerate(_checked(x, output_size), 2):
            bounds = _bounds(x.shape[axis], m)
            longest = max(b - a for a, b in bounds)
            kernel.append(longest)
            places = [min(a + i, b - 1) for a, b in bounds for i in range(longest)]
            if places != list(range(x.shape[axis])):
                x = take(x, tensor(places, "int64", name=f"places{axis}"), axis=axis)
        return max_pool2d(x, kernel_size=kernel)


@op(
    "adaptive_avg_pool1d",
    samples=[sample((2, 2, 7), output_size=3), sample((1, 2, 3), output_size=4)],
)
class adaptive_avg_pool1d:
    """Means of a given number of windows of a sequence; see ``adaptive_avg_pool2d``.

    z[n,c,i] = mean of x[n, c, ⌊i L / l⌋ … ⌈(i + 1) L / l⌉ − 1],  for lengths L and l

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, length)
    output_size : int
    """

    def compose(x, /, output_size):
        image = _nonempty(x)
        return squeeze(
            adaptive_avg_pool2d(image, (1, single(output_size, "output_size", 1))), axis=2
        )


@op(
    "adaptive_max_pool1d",
    kink=_FIRST,
    samples=[
        sample(Draw((2, 2, 7), distinct=True), output_size=3),
        sample(Draw((1, 2, 3), distinct=True), output_size=4),
    ],
)
class adaptive_max_pool1d:
    """Greatest elements of a given number of windows of a sequence; see ``adaptive_max_pool2d``.

    z[n,c,i] = max of x[n, c, ⌊i L / l⌋ … ⌈(i + 1) L / l⌉ − 1],  for lengths L and l

    Parameters
    ----------
    x : Tensor of floats, shape (batch, channels, length)
    output_size : int
    """

    def compose(x, /, output_size):
        image = _nonempty(x)
        return squeeze(
            adaptive_max_pool2d(image, (1, single(output_size, "output_size", 1))), axis=2
        )


@op(
    "averaging_matrix",
    no_gradient="it has no inputs",
    samples=[sample(length=5, windows=2), sample(length=2, windows=3, dtype="float64")],
)
class averaging_matrix:
    """The matrix that averages windows along an axis, as ``adaptive_avg_pool2d`` chooses them.

    z_ih = 1 / (b − a) if a ≤ h < b, else 0,  where a = ⌊i n / m⌋ and b = ⌈(i + 1) n / m⌉

    Parameters
    ----------
    length, windows : int
        How many elements n there are, and how many windows m.
    dtype : str
    """

    def normalize(length, windows, *, dtype=DEFAULT_FLOAT):
        return {
            "length": operator.index(length),
            "windows": operator.index(windows),
            "dtype": check_dtype(dtype),
        }

    def infer(length, windows, *, dtype=DEFAULT_FLOAT):
        if length < 1 or windows < 1:
            raise ShapeError(f"{length} elements do not make {windows} windows")
        return Spec((windows, length), dtype)

    def forward(xp, *, length, windows, dtype):
        bounds = _bounds(length, windows)
        rows = [[(a <= h < b) / (b - a) for h in range(length)] for a, b in bounds]
        return xp.asarray(rows, dtype=dtype_object(xp, dtype))


def _checked(x: Any, output_size: Any) -> Pair:
    """Return the size of the result."""
    if x.ndim != 4 or min(x.shape[2:]) < 1:
        raise ShapeError(
            f"takes images of shape (batch, channels, height, width) that have elements, "
            f"not {x.shape}"
        )
    if isinstance(output_size, list | tuple) and len(output_size) == 2:
        pairs = zip(output_size, x.shape[2:], strict=True)
        output_size = tuple(n if m is None else m for m, n in pairs)
    return pair(output_size, "output_size", 1)


def _nonempty(x: Any) -> Any:
    """Return sequences as images of height 1."""
    image = as_image(x)
    if not x.shape[2]:
        raise ShapeError(
            f"takes sequences of shape (batch, channels, length) that have elements, not {x.shape}"
        )
    return image


def _bounds(length: int, windows: int) -> list[Pair]:
    """Return where each window begins, and the first element behind it."""
    return [(i * length // windows, -(-(i + 1) * length // windows)) for i in range(windows)]
