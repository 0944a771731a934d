"""Reductions: sums, means, extremes and their like over one, several or all axes."""

from __future__ import annotations

import math

from minidl.errors import DtypeError, ShapeError
from minidl.graph.leaves import scalar_constant
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import DEFAULT_INTEGER, Spec, is_float, normalize_axes
from minidl.ops.elementwise import exp, where
from minidl.ops.joining import concat
from minidl.ops.linalg import permute_dims
from minidl.ops.shape import broadcast_to, flip

_AXES = [
    sample((3, 4)),
    sample((3, 4), axis=1),
    sample((3, 4), axis=0, keepdims=True),
    sample((2, 3, 4), axis=(0, -1), keepdims=True),
    sample((2, 3, 4), axis=(0, 1)),
    sample((2, 3, 4), axis=-2),
    sample((3, 1), axis=1),
    sample((3, 4), axis=()),
    sample(()),
    sample((0, 3), axis=1),
]
_EMPTY = [sample((0, 3), axis=0), sample((0, 3), keepdims=True)]
_INTEGERS = [
    sample(Draw((3, 4), -9, 9, dtype), axis=0) for dtype in ("int8", "int32", "int64", "uint8")
]
_FLAGS = [sample(Draw((3, 4), dtype="bool"), axis=0)]


def _distinct(samples):
    """Return ``samples`` with inputs whose elements are well apart, as extremes need."""
    return [sample(Draw(s.inputs[0].shape, distinct=True), **s.attributes) for s in samples]


def _axes(x: Spec, /, *, axis=None, keepdims=False):
    return {"axis": normalize_axes(axis, x.ndim), "keepdims": bool(keepdims)}


def _reduced(x: Spec, /, *, axis=None, keepdims=False):
    return x.with_shape(reduced_shape(x.shape, axis, keepdims))


def _accumulated(x: Spec, /, *, axis=None, keepdims=False):
    return Spec(reduced_shape(x.shape, axis, keepdims), sum_dtype(x.dtype))


def extreme(x: Spec, /, *, axis=None, keepdims=False) -> Spec:
    """Return the spec of an extreme over axes; refuse booleans, and axes without elements."""
    require_numbers(x)
    refuse_empty(x, axis)
    return _reduced(x, axis=axis, keepdims=keepdims)


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """Return ``shape`` without ``axes``, or with length 1 there."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def sum_dtype(dtype: str) -> str:
    """Return the dtype that values of ``dtype`` are summed in, by the array API standard.

    Floats keep theirs, booleans and signed integers take int64, unsigned ones uint64.
    """
    if is_float(dtype):
        return dtype
    return "uint64" if dtype.startswith("uint") else DEFAULT_INTEGER


def require_numbers(x: Spec) -> None:
    """Raise DtypeError if ``x`` is boolean, and so has no order."""
    if x.dtype == "bool":
        raise DtypeError("takes numbers, not bool; convert with astype")


def refuse_empty(x: Spec, axes: tuple[int, ...]) -> None:
    """Raise ShapeError if there is no element along ``axes``."""
    for axis in axes:
        if x.shape[axis] == 0:
            raise ShapeError(f"shape {x.shape} has no elements along axis {axis}")


def _count(shape, axes):
    return math.prod(shape[axis] for axis in axes)


def _kept(value, x, axes):
    """Return a reduced ``value`` so that it broadcasts against ``x``.

    That takes axes of length 1 in place of the reduced ones, unless these were the first.
    """
    shape = reduced_shape(x.shape, axes, True)
    leading = axes == tuple(range(len(axes)))
    return value if leading or value.shape == shape else value.reshape(shape)


def widened(xp, x):
    """Return ``x`` in a dtype that the standard's sums take: booleans as int64."""
    return xp.astype(x, xp.int64) if x.dtype == xp.bool else x


# -- sums and means ----------------------------------------------------------------------------


@op("sum", autocast="float32", notation="Σ(x)", samples=[*_AXES, *_EMPTY, *_INTEGERS, *_FLAGS])
class sum:
    """Sum over axes.

    z = Σ x

    Parameters
    ----------
    x : Tensor
        Booleans and integers are summed as int64, unsigned ones as uint64.
    axis : int or tuple of int, optional
        What to sum over; None for all axes.
    keepdims : bool
        Keep the summed axes, with length 1.
    """

    normalize = _axes
    infer = _accumulated

    def forward(xp, x, *, axis, keepdims):
        return xp.sum(widened(xp, x), axis=axis, keepdims=keepdims)

    def backward(g, z, x, *, axis, keepdims):
        return _kept(g, x, axis)


@op("mean", autocast="float32", function="mean", floating=True, samples=_AXES)
class mean:
    """Arithmetic mean over axes; NaN over none.

    z = Σ x / n

    Parameters
    ----------
    x : Tensor
        Booleans and integers are averaged as float32.
    axis : int or tuple of int, optional
        What to average over; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    normalize = _axes
    infer = _reduced

    def backward(g, z, x, *, axis, keepdims):
        return _kept(g, x, axis) / _count(x.shape, axis)


def _corrected(x, /, *, axis=None, correction=0.0, keepdims=False):
    return _axes(x, axis=axis, keepdims=keepdims) | {"correction": float(correction)}


def _spread(x, /, *, axis=None, correction=0.0, keepdims=False):
    return _reduced(x, axis=axis, keepdims=keepdims)


def _spread_flops(z, x, *, axis, correction, keepdims):
    return 4 * x.size


def _freedom(x, axis, correction):
    left = _count(x.shape, axis) - correction
    return left if left > 0 else 0


def _rest(x, axis):
    """Return what is left of ``x`` when its mean is subtracted."""
    rest = x - mean(x, axis=axis, keepdims=True)
    # The mean of the rest is what rounding took from the mean: much, where x is far from 0.
    return rest - mean(rest, axis=axis, keepdims=True)


@op(
    "var",
    autocast="float32",
    floating=True,
    samples=[
        *_AXES,
        sample((3, 4), correction=1),
        sample((2, 3, 4), axis=(0, 2), correction=1, keepdims=True),
        sample((3, 4), axis=0, correction=0.5),
    ],
)
class var:
    """Variance over axes: the mean square of what is left when the mean is subtracted.

    z = Σ (x − μ)² / (n − correction), where μ = Σ x / n

    It is computed in two passes, so a large mean takes no digits from it.

    Parameters
    ----------
    x : Tensor
        Integers are converted to float32.
    axis : int or tuple of int, optional
        What to reduce; None for all axes.
    correction : float
        0 for the variance of what is given, 1 to estimate that of what it was drawn from. NaN
        results where n is not greater than it.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    normalize = _corrected
    infer = _spread
    flops = _spread_flops

    def forward(xp, x, *, axis, correction, keepdims):
        rest = x - xp.mean(x, axis=axis, keepdims=True)
        rest = rest - xp.mean(rest, axis=axis, keepdims=True)
        total = xp.sum(rest * rest, axis=axis, keepdims=keepdims)
        return total / _freedom(x, axis, correction)

    def backward(g, z, x, *, axis, correction, keepdims):
        freedom = _freedom(x, axis, correction)
        return _kept(g, x, axis) * 2 / freedom * _rest(x, axis)


@op(
    "std",
    autocast="float32",
    floating=True,
    kink="where all elements are equal the gradient is 0",
    samples=[
        *(s for s in _distinct(_AXES) if s.inputs[0].shape),
        sample((3, 4), correction=1),
        sample((2, 3, 4), axis=(0, 2), correction=1, keepdims=True),
    ],
)
class std:
    """Standard deviation over axes: the root of ``var``.

    z = √(Σ (x − μ)² / (n − correction)), where μ = Σ x / n

    Parameters
    ----------
    x, axis, correction, keepdims
        As of ``var``.
    """

    normalize = _corrected
    infer = _spread
    flops = _spread_flops

    def forward(xp, x, **attributes):
        return xp.sqrt(var.run(xp, x, **attributes))

    def backward(g, z, x, *, axis, correction, keepdims):
        each = g / where(z == 0, 1, z) / _freedom(x, axis, correction)
        return _kept(each, x, axis) * _rest(x, axis)


@op(
    "logsumexp",
    autocast="float32",
    floating=True,
    samples=[*_AXES, sample([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]], axis=1)],
)
class logsumexp:
    """Logarithm of a sum of exponentials, for numbers of any size; −∞ where all are −∞.

    z = m + ln Σ e^(x − m), where m = max(x)

    Parameters
    ----------
    x : Tensor
        Integers are converted to float32.
    axis : int or tuple of int, optional
        What to sum over; None for all axes.
    keepdims : bool
        Keep the summed axes, with length 1.

    Raises
    ------
    ShapeError
        If there are no elements to sum.
    """

    normalize = _axes
    infer = extreme

    def forward(xp, x, *, axis, keepdims):
        top = xp.max(x, axis=axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
        z = top + xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True))
        return z if keepdims else xp.reshape(z, reduced_shape(x.shape, axis, False))

    def backward(g, z, x, *, axis, keepdims):
        # where all x are -inf, -inf - z would be NaN; the gradient there is 0
        finite = where(z == -math.inf, 0, z)
        share = exp(x - _kept(finite, x, axis))
        # the shares make 1 but for what rounding took from z: much, where z is far from 0
        total = sum(share, axis=axis, keepdims=True)
        return _kept(g, x, axis) * share / where(total == 0, 1, total)

    def flops(z, x, *, axis, keepdims):
        return 4 * x.size


# -- products ----------------------------------------------------------------------------------


@op(
    "prod",
    autocast="float32",
    samples=[*_AXES, *_EMPTY, *_INTEGERS, sample([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]], axis=1)],
)
class prod:
    """Product over axes.

    z = Π x

    Its gradient is g times the product of the other elements, which is built from products
    alone, so that it is right where elements are 0; so are all further derivatives.

    Parameters
    ----------
    x : Tensor
        Integers are multiplied as int64, unsigned ones as uint64.
    axis : int or tuple of int, optional
        What to multiply over; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    normalize = _axes
    infer = _accumulated

    def forward(xp, x, *, axis, keepdims):
        # not every namespace multiplies over several axes at once
        kept = [i for i in range(x.ndim) if i not in axis]
        last = xp.permute_dims(x, (*kept, *axis))
        flat = xp.reshape(last, (*(x.shape[i] for i in kept), _count(x.shape, axis)))
        z = xp.prod(widened(xp, flat), axis=-1)
        return xp.reshape(z, reduced_shape(x.shape, axis, keepdims))

    def backward(g, z, x, *, axis, keepdims):
        kept = tuple(i for i in range(x.ndim) if i not in axis)
        order = (*kept, *axis)
        last = _permuted(x, order)
        shape = (*(x.shape[i] for i in kept), _count(x.shape, axis))
        flat = last if last.shape == shape else last.reshape(shape)
        others = _product_of_others(flat)
        others = others if last.shape == shape else others.reshape(last.shape)
        return _kept(g, x, axis) * _permuted(others, tuple(map(order.index, range(x.ndim))))


def _permuted(x, order):
    return x if order == tuple(range(x.ndim)) else permute_dims(x, order)


def _product_of_others(x):
    """Return for each element the product of all others along the last axis.

    Elements are paired: the others of one are its partner and the other pairs. So it takes
    2 n products in all, in log2(n) rounds.
    """
    *outer, length = x.shape
    if length < 2:
        return _ones(x.shape, x.dtype)
    if length % 2:
        x = concat([x, _ones((*outer, 1), x.dtype)], axis=-1)
    if length == 2:
        return flip(x, axis=-1)
    pairs = x.reshape(*outer, x.shape[-1] // 2, 2)
    other_pairs = _product_of_others(prod(pairs, axis=-1))
    others = (flip(pairs, axis=-1) * other_pairs.reshape(*other_pairs.shape, 1)).reshape(x.shape)
    return others if length % 2 == 0 else others[..., :length]


def _ones(shape, dtype):
    return broadcast_to(scalar_constant(1.0, dtype), shape)


# -- extremes ----------------------------------------------------------------------------------


@op(
    "max",
    function="max",
    kink="equal maxima share the gradient equally",
    samples=[*_distinct(_AXES), *_INTEGERS[:1]],
)
class max:
    """Greatest element over axes; NaN if one is.

    z = max(x)

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype, which is kept.
    axis : int or tuple of int, optional
        What to reduce; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.

    Raises
    ------
    ShapeError
        If there are no elements to choose from.
    """

    normalize = _axes
    infer = extreme

    def backward(g, z, x, *, axis, keepdims):
        return _shared(g, z, x, axis)


@op(
    "min",
    function="min",
    kink="equal minima share the gradient equally",
    samples=[*_distinct(_AXES), *_INTEGERS[:1]],
)
class min:
    """Least element over axes; NaN if one is.

    z = min(x)

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype, which is kept.
    axis : int or tuple of int, optional
        What to reduce; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.

    Raises
    ------
    ShapeError
        If there are no elements to choose from.
    """

    normalize = _axes
    infer = extreme

    def backward(g, z, x, *, axis, keepdims):
        return _shared(g, z, x, axis)


def _shared(g, z, x, axis):
    """Return ``g`` divided equally among the elements of ``x`` that are equal to ``z``."""
    chosen = x == _kept(z, x, axis)
    share = _kept(g, x, axis) / _kept(sum(chosen, axis=axis), x, axis)
    return where(chosen, share, 0)


# -- counts and quantifiers --------------------------------------------------------------------

_MIXED = sample([[0.0, 2.0, float("nan")], [0.0, 0.0, -0.0]], axis=1)
_QUANTIFIED = [
    *_INTEGERS[:1],
    *(sample(Draw(s.inputs[0].shape, dtype="bool"), **s.attributes) for s in [*_AXES, *_EMPTY]),
    _MIXED,
]


def _truth(x: Spec, /, *, axis=None, keepdims=False):
    return _reduced(x, axis=axis, keepdims=keepdims).with_dtype("bool")


@op("all", function="all", no_gradient="its output is boolean", samples=_QUANTIFIED)
class all:
    """Whether all elements over axes hold, or are not 0; true over none. NaN is not 0.

    z = x_0 ∧ x_1 ∧ …

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    axis : int or tuple of int, optional
        What to reduce; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    normalize = _axes
    infer = _truth


@op("any", function="any", no_gradient="its output is boolean", samples=_QUANTIFIED)
class any:
    """Whether an element over axes holds, or is not 0; false over none. NaN is not 0.

    z = x_0 ∨ x_1 ∨ …

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    axis : int or tuple of int, optional
        What to reduce; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    normalize = _axes
    infer = _truth


@op("count_nonzero", no_gradient="its output is a count", samples=_QUANTIFIED)
class count_nonzero:
    """How many elements over axes hold, or are not 0; int64. NaN is not 0.

    z = Σ (x ≠ 0)

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    axis : int or tuple of int, optional
        What to count over; None for all axes.
    keepdims : bool
        Keep the reduced axes, with length 1.
    """

    def compose(x, /, *, axis=None, keepdims=False):
        return sum(x if x.dtype == "bool" else x != 0, axis=axis, keepdims=keepdims)
