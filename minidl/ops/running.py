"""Along an axis: running sums and products, and the differences that undo a running sum."""

from __future__ import annotations

from minidl.errors import GraphError, ShapeError
from minidl.graph.op import Draw, as_tensor, op, sample
from minidl.graph.spec import Spec, normalize_axis
from minidl.ops.indexing import slice_op
from minidl.ops.joining import concat
from minidl.ops.reduction import sum_dtype, widened
from minidl.ops.shape import flip, pad


@op(
    "cumulative_sum",
    autocast="float32",
    samples=[
        sample((5,)),
        sample((3, 4), axis=0),
        sample((2, 3, 4), axis=-2),
        sample((3, 4), axis=1, include_initial=True),
        sample((3, 1), axis=1),
        sample((3, 0), axis=1),
        sample((3, 0), axis=1, include_initial=True),
        sample(Draw((3, 4), -9, 9, "int32"), axis=0),
        sample(Draw((3, 4), dtype="bool"), axis=1),
    ],
)
class cumulative_sum:
    """Running sum along an axis.

    z_i = x_0 + … + x_i

    Parameters
    ----------
    x : Tensor
        Booleans and integers are summed as int64, unsigned ones as uint64.
    axis : int, optional
        Along which axis; may be left out if there is only one.
    include_initial : bool
        Begin with the empty sum, 0, which makes the axis longer by one.

    Raises
    ------
    ShapeError
        If there is no such axis, or several and none is named.
    """

    def normalize(x, /, *, axis=None, include_initial=False):
        return {"axis": _one_axis(x, axis), "include_initial": bool(include_initial)}

    def infer(x, /, *, axis=None, include_initial=False):
        shape = list(x.shape)
        shape[axis] += include_initial
        return Spec(tuple(shape), sum_dtype(x.dtype))

    def forward(xp, x, *, axis, include_initial):
        return xp.cumulative_sum(widened(xp, x), axis=axis, include_initial=include_initial)

    def backward(g, z, x, *, axis, include_initial):
        if include_initial:
            g = _between(g, 1, z.shape[axis], axis)
        return flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis)


@op(
    "cumulative_prod",
    samples=[
        sample((5,)),
        sample((3, 4), axis=0),
        sample((2, 3, 4), axis=-2),
        sample((3, 4), axis=1, include_initial=True),
        sample((3, 0), axis=1, include_initial=True),
        sample([[0.0, 2.0, 0.0, 3.0]], axis=1),
        sample(Draw((3, 4), -9, 9, "int32"), axis=0),
    ],
)
class cumulative_prod:
    """Running product along an axis.

    z_i = x_0 * … * x_i

    It is made of products alone, in log2(n) rounds over all elements, each with the one 1, 2,
    4 … places before it; so its derivatives are right where elements are 0.

    Parameters
    ----------
    x : Tensor
        Integers are multiplied as int64, unsigned ones as uint64.
    axis : int, optional
        Along which axis; may be left out if there is only one.
    include_initial : bool
        Begin with the empty product, 1, which makes the axis longer by one.

    Raises
    ------
    ShapeError
        If there is no such axis, or several and none is named.
    """

    def compose(x, /, *, axis=None, include_initial=False):
        axis = _one_axis(x, axis)
        wide = sum_dtype(x.dtype)
        z = x if x.dtype == wide else x.astype(wide)
        if include_initial:
            z = _after_ones(z, 1, axis)
        length, reach = z.shape[axis], 1
        while reach < length:
            z = z * _after_ones(_between(z, 0, length - reach, axis), reach, axis)
            reach *= 2
        return z


@op(
    "diff",
    samples=[
        sample((5,)),
        sample((3, 4), axis=0),
        sample((2, 3, 4), axis=1, n=2),
        sample((3, 2), axis=1, n=3),
        sample((2,), prepend=[0.5], append=[1.0, 2.0]),
        sample(Draw((3, 4), -9, 9, "int32")),
    ],
)
class diff:
    """Differences of neighbours along an axis.

    z_i = x_(i+1) − x_i

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype.
    axis : int
        Along which axis; it becomes shorter by n.
    n : int
        How many times differences are taken; 0 for the values themselves.
    prepend, append : Tensor, optional
        Values to put before and behind x first.

    Raises
    ------
    ShapeError
        If there is no such axis.
    GraphError
        If n is negative.
    """

    def compose(x, /, *, axis=-1, n=1, prepend=None, append=None):
        axis = normalize_axis(axis, x.ndim)
        if n < 0:
            raise GraphError(f"n must be at least 0, not {n}")
        parts = [as_tensor(part) for part in (prepend, x, append) if part is not None]
        if len(parts) > 1:
            x = concat(parts, axis=axis)
        for _ in range(n):
            length = x.shape[axis]
            later = _between(x, min(1, length), length, axis)
            x = later - _between(x, 0, later.shape[axis], axis)
        return x


def _one_axis(x, axis):
    """Return the axis that is meant, counted from the front; one alone need not be named."""
    if axis is None and x.ndim != 1:
        raise ShapeError(f"shape {x.shape} has {x.ndim} axes, not one; name one by axis=")
    return normalize_axis(0 if axis is None else axis, x.ndim)


def _between(x, start, stop, axis):
    """Return x[…, start : stop, …]."""
    ranges = [(0, n, 1) for n in x.shape]
    ranges[axis] = (start, stop, 1)
    return slice_op(x, ranges=ranges)


def _after_ones(x, count, axis):
    """Return ``x`` behind so many ones."""
    widths = [(count if i == axis else 0, 0) for i in range(x.ndim)]
    return pad(x, widths, value=1)
