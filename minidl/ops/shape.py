"""Shapes and dtypes: the same elements, arranged or typed otherwise."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import DtypeError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import (
    Spec,
    broadcast_shapes,
    check_dtype,
    is_float,
    normalize_axes,
    normalize_axis,
)
from minidl.ops.indexing import slice_op
from minidl.ops.linalg import permute_dims


@op(
    "astype",
    view=True,
    samples=[
        sample((2, 3), dtype="float64"),
        sample((2, 3), dtype="float32"),
        sample([[1, 2], [3, 4]], dtype="float64"),
    ],
)
class astype:
    """Conversion to another dtype.

    z = x, as dtype

    A float becomes an integer by dropping its fraction. Between floats the gradient is
    converted back; through any other conversion none flows.
    """

    def normalize(x, /, dtype):
        return {"dtype": check_dtype(dtype)}

    def infer(x, /, dtype):
        return x.with_dtype(dtype)

    def forward(xp, x, *, dtype):
        return xp.astype(x, dtype_object(xp, dtype), copy=False)

    def backward(g, z, x, *, dtype):
        return g.astype(x.dtype) if is_float(x.dtype) else None


@op(
    "stop_gradient",
    view=True,
    no_gradient="it is what stops one",
    stops_gradient=True,
    samples=[sample((2, 3))],
)
class stop_gradient:
    """The value as it is, through which no gradient flows.

    z = x

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    """

    def infer(x, /):
        return x

    def forward(xp, x):
        return x


@op(
    "reshape",
    view=True,
    samples=[
        sample((2, 6), shape=(3, 4)),
        sample((2, 6), shape=(-1,)),
        sample((), shape=(1, 1)),
        sample((0, 3), shape=(3, 0)),
    ],
)
class reshape:
    """The same elements, in row-major order, in another shape.

    z = x, read in the same order

    Parameters
    ----------
    shape : int or tuple of int
        One length may be -1: it follows from the others.
    """

    def normalize(x, /, shape):
        lengths = shape_tuple(shape)
        known = math.prod(n for n in lengths if n != -1)
        if lengths.count(-1) == 1 and known and x.size % known == 0:
            lengths = tuple(x.size // known if n == -1 else n for n in lengths)
        return {"shape": lengths}

    def infer(x, /, shape):
        if any(n < 0 for n in shape) or math.prod(shape) != x.size:
            raise ShapeError(f"shape {x.shape} has {x.size} elements and cannot become {shape}")
        return x.with_shape(shape)

    def forward(xp, x, *, shape):
        return xp.reshape(x, shape)

    def backward(g, z, x, *, shape):
        return g.reshape(x.shape)


@op(
    "broadcast_to",
    view=True,
    samples=[sample((3, 1), shape=(2, 3, 4)), sample((), shape=(2,)), sample((1, 2), shape=(0, 2))],
)
class broadcast_to:
    """The value repeated along new axes and along axes of length 1.

    z[…,i,j…] = x[i, 0 …]
    """

    def normalize(x, /, shape):
        return {"shape": shape_tuple(shape)}

    def infer(x, /, shape):
        if broadcast_shapes(x.shape, shape) != shape:
            raise ShapeError(f"shape {x.shape} does not broadcast to {shape}")
        return x.with_shape(shape)

    def forward(xp, x, *, shape):
        return xp.broadcast_to(x, shape)

    def backward(g, z, x, *, shape):
        return g


@op("broadcast_arrays", samples=[sample((3, 1), (4,)), sample((2, 3), ())])
class broadcast_arrays:
    """Several values repeated until all have one shape: a tuple of them.

    z_k[…,i,j…] = x_k[i, 0 …]

    Parameters
    ----------
    *arrays : Tensor
        Each keeps its dtype.

    Raises
    ------
    ShapeError
        If their shapes do not broadcast.
    """

    def compose(*arrays):
        shape = broadcast_shapes(*(array.shape for array in arrays))
        return tuple(broadcast_to(array, shape) for array in arrays)


@op(
    "expand_dims",
    view=True,
    samples=[sample((2, 3)), sample((2, 3), axis=-1), sample((2, 3), axis=(0, 2))],
)
class expand_dims:
    """New axes of length 1.

    z = x[…, None, …]

    Parameters
    ----------
    axis : int or tuple of int
        Where they stand in the result.
    """

    def normalize(x, /, *, axis=0):
        added = len(axis) if isinstance(axis, Sequence) else 1
        return {"axis": normalize_axes(axis, x.ndim + added)}

    def infer(x, /, *, axis=0):
        old = iter(x.shape)
        ndim = x.ndim + len(axis)
        return x.with_shape(1 if place in axis else next(old) for place in range(ndim))

    def forward(xp, x, *, axis):
        for place in axis:
            x = xp.expand_dims(x, axis=place)
        return x

    def backward(g, z, x, *, axis):
        return squeeze(g, axis=axis)


@op(
    "squeeze",
    view=True,
    samples=[sample((2, 1, 3), axis=1), sample((1, 2, 1), axis=(0, -1)), sample((2,), axis=())],
)
class squeeze:
    """The value without some axes of length 1.

    z = x[…, 0, …]

    Parameters
    ----------
    axis : int or tuple of int
        The axes to remove. They must be named, so that the shape never depends on a length that
        happens to be 1.
    """

    def normalize(x, /, axis):
        return {"axis": normalize_axes(() if axis is None else axis, x.ndim)}

    def infer(x, /, axis):
        for place in axis:
            if x.shape[place] != 1:
                raise ShapeError(
                    f"axis {place} of shape {x.shape} has length {x.shape[place]}; "
                    f"only axes of length 1 can be removed"
                )
        return x.with_shape(n for place, n in enumerate(x.shape) if place not in axis)

    def forward(xp, x, *, axis):
        return xp.squeeze(x, axis=axis)

    def backward(g, z, x, *, axis):
        return expand_dims(g, axis=axis)


@op("flip", view=True, samples=[sample((2, 3)), sample((2, 3), axis=-1)])
class flip:
    """The elements in reverse order along axes.

    z[…,i,…] = x[…, n − 1 − i, …]

    Parameters
    ----------
    axis : int or tuple of int, optional
        Default: all.
    """

    def normalize(x, /, *, axis=None):
        return {"axis": normalize_axes(axis, x.ndim)}

    def infer(x, /, *, axis=None):
        return x

    def forward(xp, x, *, axis):
        return xp.flip(x, axis=axis)

    def backward(g, z, x, *, axis):
        return flip(g, axis=axis)


@op(
    "roll",
    samples=[
        sample((2, 3), shift=1),
        sample((2, 3), shift=-2, axis=1),
        sample((2, 3), shift=(1, 7), axis=(0, -1)),
        sample((0, 3), shift=1, axis=1),
    ],
)
class roll:
    """The elements moved along axes; what leaves at the end comes back at the beginning.

    z[…,i,…] = x[…, (i − shift) mod n, …]

    Parameters
    ----------
    shift : int or tuple of int
        By how many places, for each axis.
    axis : int or tuple of int, optional
        Along which axes; None for the flattened value.

    Raises
    ------
    ShapeError
        If there is no such axis, or not one shift for each.
    """

    def normalize(x, /, shift, *, axis=None):
        if axis is None:
            return {"shift": operator.index(shift), "axis": None}
        axes = axes_in_order(axis, x.ndim)
        shifts = tuple(shift) if isinstance(shift, Sequence) else (shift,) * len(axes)
        if len(shifts) != len(axes):
            raise ShapeError(f"{len(shifts)} shifts were given for {len(axes)} axes")
        return {"shift": tuple(operator.index(by) for by in shifts), "axis": axes}

    def infer(x, /, shift, *, axis=None):
        return x

    def forward(xp, x, *, shift, axis):
        return xp.roll(x, shift, axis=axis)

    def backward(g, z, x, *, shift, axis):
        back = -shift if axis is None else tuple(-by for by in shift)
        return roll(g, back, axis=axis)


@op(
    "moveaxis",
    samples=[
        sample((2, 3, 4), source=0, destination=-1),
        sample((2, 3, 4), source=(0, 1), destination=(2, 0)),
        sample((2,), source=(), destination=()),
    ],
)
class moveaxis:
    """The same elements with some axes at other positions, the others in their order.

    z = permute_dims(x, …)

    Parameters
    ----------
    source, destination : int or tuple of int
        Where axes stand, and where they shall stand.

    Raises
    ------
    ShapeError
        If there is no such axis, one is named twice, or the two are not equally many.
    """

    def compose(x, /, source, destination):
        moved, places = (axes_in_order(axes, x.ndim) for axes in (source, destination))
        if len(moved) != len(places):
            raise ShapeError(f"{len(moved)} axes cannot be moved to {len(places)} places")
        held = dict(zip(places, moved, strict=True))
        rest = iter(axis for axis in range(x.ndim) if axis not in moved)
        return permute_dims(x, tuple(held[i] if i in held else next(rest) for i in range(x.ndim)))


@op(
    "pad",
    samples=[
        sample((2, 3), pad_width=((1, 0), (2, 1))),
        sample((2, 3), pad_width=1, value=0.5),
        sample((3,), pad_width=(0, 2)),
        sample((), pad_width=1),
    ],
)
class pad:
    """The value with a border of one constant.

    z[…,before+i,…] = x[…, i, …],  and ``value`` at all other places

    Parameters
    ----------
    pad_width : int, (int, int) or sequence of (int, int)
        How much before and after: the same everywhere, the same for every axis, or for each axis.
    value : number
        What the border holds.
    """

    def normalize(x, /, pad_width, *, value=0.0):
        widths = _pad_widths(pad_width, x.ndim)
        if is_float(x.dtype):
            return {"pad_width": widths, "value": float(value)}
        if value != int(value):
            raise DtypeError(f"a value of dtype {x.dtype} cannot be padded with {value}")
        return {"pad_width": widths, "value": int(value)}

    def infer(x, /, pad_width, *, value=0.0):
        widths = zip(x.shape, pad_width, strict=True)
        return x.with_shape(before + n + after for n, (before, after) in widths)

    def forward(xp, x, *, pad_width, value):
        padded = [before + n + after for n, (before, after) in zip(x.shape, pad_width, strict=True)]
        result = xp.full(tuple(padded), value, dtype=x.dtype)
        inner = [
            slice(before, before + n) for n, (before, _) in zip(x.shape, pad_width, strict=True)
        ]
        result[(..., *inner)] = x
        return result

    def backward(g, z, x, *, pad_width, value):
        widths = zip(x.shape, pad_width, strict=True)
        return slice_op(g, ranges=[(before, before + n, 1) for n, (before, _) in widths])


@op("tril", samples=[sample((3, 4)), sample((2, 3, 3), k=-1), sample((2, 3), k=1)])
class tril:
    """The lower triangle of the last two axes: 0 above diagonal ``k``.

    z_ij = x_ij if j − i ≤ k, else 0
    """

    def normalize(x, /, *, k=0):
        return {"k": operator.index(k)}

    def infer(x, /, *, k=0):
        return _matrices(x)

    def forward(xp, x, *, k):
        return xp.tril(x, k=k)

    def backward(g, z, x, *, k):
        return tril(g, k=k)


@op("triu", samples=[sample((3, 4)), sample((2, 3, 3), k=-1), sample((2, 3), k=1)])
class triu:
    """The upper triangle of the last two axes: 0 below diagonal ``k``.

    z_ij = x_ij if j − i ≥ k, else 0
    """

    def normalize(x, /, *, k=0):
        return {"k": operator.index(k)}

    def infer(x, /, *, k=0):
        return _matrices(x)

    def forward(xp, x, *, k):
        return xp.triu(x, k=k)

    def backward(g, z, x, *, k):
        return triu(g, k=k)


def shape_tuple(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a shape, given as one length or several, as a tuple of Python integers."""
    try:
        if hasattr(shape, "__index__"):
            return (operator.index(shape),)
        return tuple(operator.index(n) for n in shape)  # type: ignore[union-attr]
    except TypeError:
        raise ShapeError(f"a shape is made of integers, not {shape!r}") from None


def axes_in_order(axes: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return axes in the order in which they are given, counted from the front."""
    normalize_axes(axes, ndim)  # refuses an axis that is named twice
    given = axes if isinstance(axes, Sequence) else (axes,)
    return tuple(normalize_axis(axis, ndim) for axis in given)


def _pad_widths(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each axis."""
    if isinstance(pad_width, int):
        widths = [(pad_width, pad_width)] * ndim
    elif len(pad_width) == 2 and all(isinstance(n, int) for n in pad_width):
        widths = [tuple(pad_width)] * ndim
    else:
        widths = [tuple(pair) for pair in pad_width]
    if len(widths) != ndim or any(len(pair) != 2 for pair in widths):
        raise ShapeError(f"pad_width {pad_width} does not give (before, after) for {ndim} axes")
    if any(n < 0 for pair in widths for n in pair):
        raise ShapeError(f"pad_width {pad_width} is negative; cut with a slice instead")
    return tuple((operator.index(before), operator.index(after)) for before, after in widths)


def _matrices(x: Spec) -> Spec:
    if x.ndim < 2:
        raise ShapeError(f"takes a value with at least 2 axes, not of shape {x.shape}")
    return x
