"""Searching and sorting along an axis."""

from __future__ import annotations

from minidl.errors import GraphError, ShapeError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import DEFAULT_INTEGER, normalize_axes, normalize_axis
from minidl.ops.indexing import take_along_axis
from minidl.ops.reduction import any, extreme, require_numbers
from minidl.ops.shape import expand_dims

_INDEX = "its output is an index"
_ARG_SAMPLES = [
    sample(Draw((3, 4), distinct=True)),
    sample(Draw((3, 4), distinct=True), axis=1),
    sample(Draw((2, 3, 4), distinct=True), axis=-2, keepdims=True),
    sample(Draw((3, 4), distinct=True), keepdims=True),
    sample([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]], axis=1),
    sample(()),
    sample((0, 3), axis=1),
    sample(Draw((3, 4), -9, 9, "int32"), axis=0),
]


def _one_axis(x, /, *, axis=None, keepdims=False):
    return {
        "axis": None if axis is None else normalize_axis(axis, x.ndim),
        "keepdims": bool(keepdims),
    }


def _position(x, /, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    return extreme(x, axis=axes, keepdims=keepdims).with_dtype(DEFAULT_INTEGER)


@op(
    "argmax",
    function="argmax",
    no_gradient=_INDEX,
    samples=_ARG_SAMPLES,
)
class argmax:
    """Index of the greatest element along an axis, the first of equals; int64.

    z = the least i with x_i = max(x)

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype.
    axis : int, optional
        Along which axis; None for the index in row-major order.
    keepdims : bool
        Keep the reduced axes, with length 1.

    Raises
    ------
    ShapeError
        If there are no elements to choose from.
    """

    normalize = _one_axis
    infer = _position


@op(
    "argmin",
    function="argmin",
    no_gradient=_INDEX,
    samples=_ARG_SAMPLES,
)
class argmin:
    """Index of the least element along an axis, the first of equals; int64.

    z = the least i with x_i = min(x)

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype.
    axis : int, optional
        Along which axis; None for the index in row-major order.
    keepdims : bool
        Keep the reduced axes, with length 1.

    Raises
    ------
    ShapeError
        If there are no elements to choose from.
    """

    normalize = _one_axis
    infer = _position


@op(
    "searchsorted",
    no_gradient=_INDEX,
    samples=[
        sample([-1.0, 0.0, 0.0, 2.0], (3, 2)),
        sample([-1.0, 0.0, 0.0, 2.0], [0.0, 2.0, -1.0, 5.0]),
        sample([-1.0, 0.0, 0.0, 2.0], [0.0, 2.0, -1.0, 5.0], side="right"),
        sample((0,), (2,)),
        sample([1, 4, 9], Draw((5,), 0, 12, "int64")),
    ],
)
class searchsorted:
    """Where values belong among sorted ones: indices before which they keep the order; int64.

    z = how many x1_i < x2  (side "left"),  how many x1_i ≤ x2  (side "right")

    Parameters
    ----------
    x1 : Tensor (n,)
        In ascending order; where it is not, the result is undefined.
    x2 : Tensor
        What to look for, of any shape.
    side : {"left", "right"}
        Whether a value belongs before its equals or behind them.

    Raises
    ------
    ShapeError
        If x1 does not have one axis.
    GraphError
        If ``side`` is neither.
    """

    def normalize(x1, x2, /, *, side="left"):
        if side not in ("left", "right"):
            raise GraphError(f"side is 'left' or 'right', not {side!r}")
        return {"side": side}

    def infer(x1, x2, /, *, side="left"):
        require_numbers(x1)
        if x1.ndim != 1:
            raise ShapeError(f"takes sorted values with one axis, not of shape {x1.shape}")
        return x2.with_dtype(DEFAULT_INTEGER)

    def forward(xp, x1, x2, *, side):
        return xp.searchsorted(x1, x2, side=side)


@op(
    "isin",
    no_gradient="its output is boolean",
    samples=[
        sample(Draw((3, 4), 0, 9, "int64"), Draw((2, 2), 0, 9, "int64")),
        sample(Draw((3, 4), 0, 9, "int64"), [1, 2], invert=True),
        sample([0.5, float("nan")], [0.5, float("nan")]),
        sample((3,), (0,)),
    ],
)
class isin:
    """Whether each element is one of some values; NaN is none.

    z = (x1 ∈ x2)

    Parameters
    ----------
    x1 : Tensor
        What is asked for, of any shape.
    x2 : Tensor
        The values, of any shape: few, as each is compared with every element.
    invert : bool
        Whether it is not one of them.
    """

    def compose(x1, x2, /, *, invert=False):
        found = any(expand_dims(x1, axis=-1) == x2.reshape(-1), axis=-1)
        return ~found if invert else found


# -- sorting -----------------------------------------------------------------------------------

_ORDERS = [
    sample(Draw((3, 4), distinct=True)),
    sample(Draw((3, 4), distinct=True), axis=0, descending=True),
    sample(Draw((2, 3, 4), distinct=True), axis=-2, stable=False),
    sample(Draw((5,), 0, 3, "int64"), descending=True),
    sample((3, 1)),
    sample((0, 3), axis=0),
]


def _order(x, /, *, axis=-1, descending=False, stable=True):
    # equals always keep their order, so stable is no attribute of the node
    return {"axis": normalize_axis(axis, x.ndim), "descending": bool(descending)}


@op("argsort", no_gradient=_INDEX, samples=_ORDERS)
class argsort:
    """Indices that sort a value along an axis; int64.

    z_i = the index of the element that comes i-th

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype. NaN counts as greater than everything.
    axis : int
        Along which axis.
    descending : bool
        The greatest first.
    stable : bool
        Equal elements keep their order, also where this is False.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """

    normalize = _order

    def infer(x, /, *, axis=-1, descending=False, stable=True):
        require_numbers(x)
        return x.with_dtype(DEFAULT_INTEGER)

    def forward(xp, x, *, axis, descending):
        if not descending:
            return xp.argsort(x, axis=axis, stable=True)
        order = xp.argsort(xp.flip(x, axis=axis), axis=axis, stable=True)
        return x.shape[axis] - 1 - xp.flip(order, axis=axis)

    def flops(z, x, *, axis, descending):
        return _comparisons(x, axis)


@op(
    "sort",
    kink="of equal elements the first receives the gradient of the first place, and so on",
    samples=_ORDERS,
)
class sort:
    """The elements in order along an axis.

    z_0 ≤ z_1 ≤ … = x in another order

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype. NaN counts as greater than everything.
    axis : int
        Along which axis.
    descending : bool
        The greatest first.
    stable : bool
        Equal elements keep their order, also where this is False.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """

    normalize = _order

    def infer(x, /, *, axis=-1, descending=False, stable=True):
        require_numbers(x)
        return x

    def forward(xp, x, *, axis, descending):
        z = xp.sort(x, axis=axis)
        return xp.flip(z, axis=axis) if descending else z

    def backward(g, z, x, *, axis, descending):
        places = argsort(argsort(x, axis=axis, descending=descending), axis=axis)
        return take_along_axis(g, places, axis=axis)

    def flops(z, x, *, axis, descending):
        return _comparisons(x, axis)


def _comparisons(x, axis):
    return x.size * max(x.shape[axis] - 1, 0).bit_length()
