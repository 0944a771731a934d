"""Values made from nothing but their shape: ops without inputs."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import (
    DEFAULT_FLOAT,
    DEFAULT_INTEGER,
    Spec,
    check_dtype,
    holds,
    is_float,
)
from minidl.ops.shape import broadcast_to, shape_tuple

_NO_INPUTS = "it has no inputs"


@op(
    "zeros",
    scalar="0",
    no_gradient=_NO_INPUTS,
    samples=[sample(shape=(2, 3)), sample(shape=(), dtype="int32")],
)
class zeros:
    """Zeros.

    z = 0

    Parameters
    ----------
    shape : int or tuple of int
    dtype : str
    """

    def normalize(shape, *, dtype=DEFAULT_FLOAT):
        return {"shape": _lengths(shape), "dtype": check_dtype(dtype)}

    def infer(shape, *, dtype=DEFAULT_FLOAT):
        return Spec(shape, dtype)

    def forward(xp, *, shape, dtype):
        return xp.zeros(shape, dtype=dtype_object(xp, dtype))


@op(
    "ones",
    scalar="1",
    no_gradient=_NO_INPUTS,
    samples=[sample(shape=(2, 3)), sample(shape=4, dtype="bool")],
)
class ones:
    """Ones.

    z = 1

    Parameters
    ----------
    shape : int or tuple of int
    dtype : str
    """

    def normalize(shape, *, dtype=DEFAULT_FLOAT):
        return {"shape": _lengths(shape), "dtype": check_dtype(dtype)}

    def infer(shape, *, dtype=DEFAULT_FLOAT):
        return Spec(shape, dtype)

    def forward(xp, *, shape, dtype):
        return xp.ones(shape, dtype=dtype_object(xp, dtype))


@op(
    "full",
    scalar="fill_value",
    no_gradient=_NO_INPUTS,
    samples=[
        sample(shape=(2, 3), fill_value=0.5),
        sample(shape=(), fill_value=7, dtype="int64"),
    ],
)
class full:
    """One number everywhere.

    z = fill_value

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number
    dtype : str
    """

    def normalize(shape, fill_value, *, dtype=DEFAULT_FLOAT):
        kind = check_dtype(dtype)
        return {"shape": _lengths(shape), "fill_value": _number(fill_value, kind), "dtype": kind}

    def infer(shape, fill_value, *, dtype=DEFAULT_FLOAT):
        return Spec(shape, dtype)

    def forward(xp, *, shape, fill_value, dtype):
        return xp.full(shape, fill_value, dtype=dtype_object(xp, dtype))


@op(
    "arange",
    no_gradient=_NO_INPUTS,
    samples=[
        sample(start=5),
        sample(start=4, stop=-3, step=-2),
        sample(start=0.5, stop=3.0, step=0.75, dtype="float64"),
        sample(start=3, stop=1),
    ],
)
class arange:
    """Evenly spaced numbers, up to but without stop.

    z_i = start + i · step,  for 0 ≤ i < (stop − start) / step

    Parameters
    ----------
    start : number
        The first one; if ``stop`` is left out, it is ``stop``, and the first is 0.
    stop, step : number
    dtype : str, optional
        Default int64 if all three are integers, else float32.

    Raises
    ------
    ShapeError
        If ``step`` is 0.
    """

    def normalize(start, stop=None, step=1, *, dtype=None):
        if stop is None:
            start, stop = 0, start
        if step == 0:
            raise ShapeError("step must not be 0")
        integral = all(isinstance(number, int) for number in (start, stop, step))
        kind = check_dtype(dtype or (DEFAULT_INTEGER if integral else DEFAULT_FLOAT))
        return {"start": start, "stop": stop, "step": step, "dtype": kind}

    def infer(start, stop=None, step=1, *, dtype=None):
        return Spec((max(math.ceil((stop - start) / step), 0),), dtype)

    def forward(xp, *, start, stop, step, dtype):
        return xp.arange(start, stop, step, dtype=dtype_object(xp, dtype))


@op(
    "linspace",
    no_gradient=_NO_INPUTS,
    samples=[
        sample(start=-1.0, stop=1.0, num=5, dtype="float64"),
        sample(start=0, stop=1, num=4, endpoint=False),
        sample(start=2.0, stop=3.0, num=1),
    ],
)
class linspace:
    """A number of evenly spaced numbers from start to stop.

    z_i = start + i · (stop − start) / (num − 1),  over num instead without the endpoint

    Parameters
    ----------
    start, stop : float
    num : int
        How many.
    dtype : str
        A float dtype.
    endpoint : bool
        Whether the last one is ``stop``.
    """

    def normalize(start, stop, num, *, dtype=DEFAULT_FLOAT, endpoint=True):
        kind = check_dtype(dtype)
        if not is_float(kind):
            raise DtypeError(f"evenly spaced numbers have a float dtype, not {kind}")
        (count,) = _lengths(num)
        return {
            "start": float(start),
            "stop": float(stop),
            "num": count,
            "dtype": kind,
            "endpoint": bool(endpoint),
        }

    def infer(start, stop, num, *, dtype=DEFAULT_FLOAT, endpoint=True):
        return Spec((num,), dtype)

    def forward(xp, *, start, stop, num, dtype, endpoint):
        return xp.linspace(start, stop, num, dtype=dtype_object(xp, dtype), endpoint=endpoint)


@op(
    "eye",
    no_gradient=_NO_INPUTS,
    samples=[sample(n_rows=3), sample(n_rows=2, n_cols=4, k=1), sample(n_rows=3, k=-1)],
)
class eye:
    """A matrix with ones on one diagonal and zeros elsewhere.

    z_ij = 1 if j − i = k, else 0

    Parameters
    ----------
    n_rows : int
    n_cols : int, optional
        Default ``n_rows``.
    k : int
        Which diagonal: 0 the main one, 1 the one above it.
    dtype : str
    """

    def normalize(n_rows, n_cols=None, *, k=0, dtype=DEFAULT_FLOAT):
        columns = n_rows if n_cols is None else n_cols
        rows, columns = _lengths((n_rows, columns))
        return {
            "n_rows": rows,
            "n_cols": columns,
            "k": operator.index(k),
            "dtype": check_dtype(dtype),
        }

    def infer(n_rows, n_cols=None, *, k=0, dtype=DEFAULT_FLOAT):
        return Spec((n_rows, n_cols), dtype)

    def forward(xp, *, n_rows, n_cols, k, dtype):
        return xp.eye(n_rows, n_cols, k=k, dtype=dtype_object(xp, dtype))


@op("zeros_like", samples=[sample((2, 3)), sample((2,), dtype="int32")])
class zeros_like:
    """Zeros in the shape of a value, and in its dtype unless said otherwise.

    z = 0
    """

    def compose(x, /, *, dtype=None):
        return zeros(x.shape, dtype=dtype or x.dtype)


@op("ones_like", samples=[sample((2, 3)), sample((2,), dtype="int32")])
class ones_like:
    """Ones in the shape of a value, and in its dtype unless said otherwise.

    z = 1
    """

    def compose(x, /, *, dtype=None):
        return ones(x.shape, dtype=dtype or x.dtype)


@op("full_like", samples=[sample((2, 3), fill_value=0.5), sample((2,), 7, dtype="int32")])
class full_like:
    """One number in the shape of a value, and in its dtype unless said otherwise.

    z = fill_value
    """

    def compose(x, /, fill_value, *, dtype=None):
        return full(x.shape, fill_value, dtype=dtype or x.dtype)


@op(
    "meshgrid",
    samples=[
        sample((2,), (3,)),
        sample((2,), (3,), (1,), indexing="ij"),
        sample((2,)),
        sample((), (3,)),
    ],
)
class meshgrid:
    """The coordinates of all points of a grid, from those along each axis: a tuple of them.

    z_k[i_0, i_1, …] = x_k[i_k]

    Parameters
    ----------
    *arrays : Tensor
        Coordinates along each axis, with one axis, or a number.
    indexing : {"xy", "ij"}
        Whether the first two axes of the grid are exchanged, as for images, or not.

    Raises
    ------
    ShapeError
        If coordinates have more than one axis.
    GraphError
        If ``indexing`` is neither.
    """

    def compose(*arrays, indexing="xy"):
        if indexing not in ("xy", "ij"):
            raise GraphError(f"indexing is 'xy' or 'ij', not {indexing!r}")
        for array in arrays:
            if array.ndim > 1:
                raise ShapeError(f"takes coordinates with one axis, not of shape {array.shape}")
        places = list(range(len(arrays)))
        if indexing == "xy":
            places[:2] = reversed(places[:2])
        grid = [1] * len(arrays)
        for array, place in zip(arrays, places, strict=True):
            grid[place] = array.size
        return tuple(
            broadcast_to(array.reshape(_along(place, len(grid))), tuple(grid))
            for array, place in zip(arrays, places, strict=True)
        )


def _along(axis: int, ndim: int) -> tuple[int, ...]:
    """Return the shape of numbers along one of some axes."""
    return tuple(-1 if i == axis else 1 for i in range(ndim))


def _lengths(shape: int | Sequence[int]) -> tuple[int, ...]:
    lengths = shape_tuple(shape)
    if any(n < 0 for n in lengths):
        raise ShapeError(f"shape {lengths} has a negative length")
    return lengths


def _number(value: Any, dtype: str) -> bool | int | float:
    """Return ``value`` in the Python type of ``dtype``, so that equal calls are equal."""
    if dtype == "bool":
        return bool(value)
    if is_float(dtype):
        return float(value)
    if not holds(dtype, value):
        raise DtypeError(f"{value} is no value of dtype {dtype}")
    return int(value)
