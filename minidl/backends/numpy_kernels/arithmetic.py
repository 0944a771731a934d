"""Kernels of arithmetic: element by element, sums, extremes and the softmax family."""

from __future__ import annotations

import functools
import math

import numpy as np

from minidl import registry
from minidl.backends.base import kernel

Axes = tuple[int, ...]

_FOLD = 256
"""Rows that are added one after the other; more are added in groups, then group by group."""
_DOT = 4096
"""Longest row that is summed as a product with ones."""
_SHORT = 32
"""Longest row whose maximum is quicker to find when the matrix is transposed."""
_BLOCK = 8192
"""Elements that stay in a core's cache through many passes over them."""
_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


# -- element by element ------------------------------------------------------------------------


@kernel("numpy", "sigmoid")
def sigmoid(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """σ(x) = ½ tanh(½ x) + ½ is exact only near 0; 1/(1 + e^−x) is right in both tails."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.reciprocal(out, out=out)


@kernel("numpy", "relu")
def relu(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """max(x, 0), in one pass."""
    return np.maximum(x, 0, out=out)


@kernel("numpy", "clip")
def clip(x: np.ndarray, *, min: float, max: float, out: np.ndarray) -> np.ndarray:
    """min(max(x, low), high), in one pass."""
    return np.clip(x, min, max, out=out)


@kernel("numpy", "pow")
def pow(a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """NumPy's power takes a hundred times as long for a³ as two products do."""
    exponent = b.item() if b.ndim == 0 else None
    if exponent not in (2, 3, 4):
        return np.power(a, b, out=out)
    np.square(a, out=out)
    if exponent == 3:
        np.multiply(out, a, out=out)
    elif exponent == 4:
        np.square(out, out=out)
    return out


@kernel("numpy", "where")
def where(condition: np.ndarray, x: np.ndarray, y: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """y ⊕ ((x ⊕ y) ∧ mask) on the bits: without branches, which are mispredicted at random."""
    integer = _BITS.get(out.dtype.itemsize)
    if integer is None or out.size < 64:
        np.copyto(out, y)
        np.copyto(out, x, where=condition)
        return out
    bits, x_bits, y_bits = out.view(integer), x.view(integer), y.view(integer)
    flags = condition.view(np.int8)
    if x.ndim == 0 and not x_bits:
        np.subtract(flags, 1, out=bits)
        np.bitwise_and(bits, y_bits, out=bits)
        return out
    np.negative(flags, out=bits)
    if y.ndim == 0 and not y_bits:
        np.bitwise_and(bits, x_bits, out=bits)
        return out
    np.bitwise_and(bits, np.bitwise_xor(x_bits, y_bits), out=bits)
    np.bitwise_xor(bits, y_bits, out=bits)
    return out


@kernel("numpy", "erf")
def erf(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """Go through x in blocks; in float32 by one rational function of x², with no exponential."""
    whole = np.ascontiguousarray(x).reshape(-1)
    result = np.empty_like(whole)
    pure = functools.partial(registry.get("op", "erf").run, np)
    compute = _erf32 if x.dtype == np.float32 else pure
    for start in range(0, whole.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        result[block] = compute(whole[block])
    out[...] = result.reshape(out.shape)
    return out


_ERF_END = 3.92
"""From here on, erf(x) is 1 in float32."""
_ERF_NUMERATOR = (
    2.05011358e-06,
    0.000284879085,
    0.00376546241,
    0.0527482513,
    0.190402892,
    1.12837915,
)
_ERF_DENOMINATOR = (3.8091795e-05, 0.0011624976, 0.0149689093, 0.114107634, 0.502072912, 1.0)
"""erf(x) / x = P(x²) / Q(x²) for |x| < 3.92 within 2e-8, fitted by reweighted least squares."""


def _erf32(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, -_ERF_END, _ERF_END)
    squared = np.square(x)
    np.multiply(x, _polynomial(squared, _ERF_NUMERATOR), out=x)
    np.divide(x, _polynomial(squared, _ERF_DENOMINATOR), out=x)
    return np.clip(x, -1, 1, out=x)


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    value = np.multiply(x, coefficients[0])
    for coefficient in coefficients[1:-1]:
        np.add(value, coefficient, out=value)
        np.multiply(value, x, out=value)
    return np.add(value, coefficients[-1], out=value)


# -- sums --------------------------------------------------------------------------------------


@kernel("numpy", "sum")
def sum(x: np.ndarray, *, axis: Axes, keepdims: bool, out: np.ndarray) -> np.ndarray:
    """Sum floats so that the error hardly grows with how many there are.

    NumPy adds rows one after the other, in order, which for ten million of them is off by 9 %.
    """
    x, times = _without_repeats(x, axis)
    if not _in_memory_order(x, axis):
        wide = _wide(x, axis)
        if times == 1:
            return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=wide, out=out)
        total = x.sum(axis=axis, keepdims=keepdims, dtype=wide)
        return np.multiply(total, float(times), out=out, casting="same_kind")
    first = _trailing(x.ndim, axis)
    length = math.prod(x.shape[first:])
    total = x
    if first < x.ndim and length <= _DOT:
        total = x.reshape(-1, length) @ _ones(length, x.dtype.char)
        total, axis = total.reshape(x.shape[:first]), axis[: len(axis) - x.ndim + first]
    if axis == tuple(range(len(axis))) and axis and len(axis) < total.ndim:
        rows = _count(total, axis)
        total = _fold(np.add, total.reshape(rows, total.size // rows))
    elif axis:
        total = total.sum(axis=axis, dtype=_wide(total, axis))
    return np.multiply(total.reshape(out.shape), float(times), out=out, casting="same_kind")


@kernel("numpy", "mean")
def mean(x: np.ndarray, *, axis: Axes, keepdims: bool, out: np.ndarray) -> np.ndarray:
    """Divide the accurate sum."""
    sum(x, axis=axis, keepdims=keepdims, out=out)
    return np.divide(out, _count(x, axis), out=out)


@kernel("numpy", "var")
def var(
    x: np.ndarray, *, axis: Axes, correction: float, keepdims: bool, out: np.ndarray
) -> np.ndarray:
    """Two passes, and what rounding took from the mean is taken from the squares.

    Chan, Golub & LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37 (1983) 242–247, equation 1.7.
    """
    count = _count(x, axis)
    centre = np.empty(_kept_shape(x, axis), x.dtype)
    mean(x, axis=axis, keepdims=True, out=centre)
    rest = np.subtract(x, centre, out=np.empty(x.shape, x.dtype))
    left = sum(rest, axis=axis, keepdims=keepdims, out=np.empty_like(out))
    np.square(rest, out=rest)
    sum(rest, axis=axis, keepdims=keepdims, out=out)
    np.subtract(out, left * left / count, out=out)
    np.maximum(out, 0, out=out)
    freedom = count - correction
    return np.divide(out, freedom if freedom > 0 else 0, out=out)


@kernel("numpy", "std")
def std(
    x: np.ndarray, *, axis: Axes, correction: float, keepdims: bool, out: np.ndarray
) -> np.ndarray:
    """The root of the accurate variance."""
    var(x, axis=axis, correction=correction, keepdims=keepdims, out=out)
    return np.sqrt(out, out=out)


def _in_memory_order(x: np.ndarray, axis: Axes) -> bool:
    """Whether there is something to gain; over all axes at once NumPy adds by halves itself."""
    return bool(0 < len(axis) < x.ndim and x.dtype.char in "fd" and x.size and x.flags.c_contiguous)


def _without_repeats(x: np.ndarray, axis: Axes) -> tuple[np.ndarray, int]:
    """Return x with each axis once that repeats the same memory, and how often it was there.

    That is what the gradient of a sum is: broadcast, and summed again for a bias.
    """
    if x.dtype.kind != "f" or 0 not in x.strides or not x.size:
        return x, 1
    repeated = [i for i in axis if not x.strides[i]]
    once = tuple(slice(1) if i in repeated else slice(None) for i in range(x.ndim))
    return x[once], math.prod(x.shape[i] for i in repeated)


def _wide(x: np.ndarray, axis: Axes) -> type[np.floating] | None:
    """Return the dtype to add up in where elements are not in the order that ``_fold`` takes."""
    in_order = len(axis) == x.ndim and x.flags.forc
    return (
        np.float64 if x.dtype == np.float32 and _count(x, axis) > _FOLD and not in_order else None
    )


def _trailing(ndim: int, axis: Axes) -> int:
    """Return the first of the axes that are reduced together with all behind them."""
    first = ndim
    while first - 1 in axis:
        first -= 1
    return first


def _fold(function: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Reduce the rows of ``x``: first across groups of rows, laid out as one long row each."""
    rows, columns = x.shape
    if rows <= _FOLD or columns == 1:
        return function.reduce(x, axis=0)
    group = 1 << (rows // _FOLD).bit_length()
    even = rows - rows % group
    grouped = function.reduce(x[:even].reshape(even // group, group * columns), axis=0)
    total = _fold(function, grouped.reshape(group, columns))
    return function(total, function.reduce(x[even:], axis=0)) if even < rows else total


@functools.lru_cache(maxsize=64)
def _ones(length: int, char: str) -> np.ndarray:
    return np.ones(length, char)


def _count(x: np.ndarray, axis: Axes) -> int:
    return math.prod(x.shape[i] for i in axis)


def _kept_shape(x: np.ndarray, axis: Axes) -> Axes:
    return tuple(1 if i in axis else n for i, n in enumerate(x.shape))


@kernel("numpy", "cumulative_sum")
def cumulative_sum(
    x: np.ndarray, *, axis: int, include_initial: bool, out: np.ndarray
) -> np.ndarray:
    """Add float32 up in float64: of ten million tenths the last would be 9 % off."""
    wide = np.float64 if x.dtype == np.float32 else out.dtype
    sums = np.moveaxis(out, axis, 0)
    sums[:1] = 0
    sums[include_initial:] = np.moveaxis(np.add.accumulate(x, axis=axis, dtype=wide), axis, 0)
    return out


# -- extremes and the softmax family -----------------------------------------------------------


@kernel("numpy", "max")
def max(x: np.ndarray, *, axis: Axes, keepdims: bool, out: np.ndarray) -> np.ndarray:
    """Transpose short rows first: NumPy's maximum of a row costs 50 ns however short it is."""
    return _extreme(np.maximum, x, axis, keepdims, out)


@kernel("numpy", "min")
def min(x: np.ndarray, *, axis: Axes, keepdims: bool, out: np.ndarray) -> np.ndarray:
    """Transpose short rows first, as ``max`` does."""
    return _extreme(np.minimum, x, axis, keepdims, out)


def _extreme(
    function: np.ufunc, x: np.ndarray, axis: Axes, keepdims: bool, out: np.ndarray
) -> np.ndarray:
    kept = x.ndim - len(axis)
    if not axis or not kept or not x.size:
        return function.reduce(x, axis=axis, keepdims=keepdims, out=out)
    if axis == (x.ndim - 1,) and x.shape[-1] <= _SHORT:
        columns = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)
        out[...] = function.reduce(columns, axis=0).reshape(out.shape)
        return out
    if axis[-1] == len(axis) - 1 and x.flags.c_contiguous:
        rows = _count(x, axis)
        out[...] = _fold(function, x.reshape(rows, x.size // rows)).reshape(out.shape)
        return out
    return function.reduce(x, axis=axis, keepdims=keepdims, out=out)


@kernel("numpy", "softmax")
def softmax(x: np.ndarray, *, axis: int, out: np.ndarray) -> np.ndarray:
    """Subtract, exponentiate and divide in place."""
    side = np.empty(_kept_shape(x, (axis,)), x.dtype)
    np.subtract(x, max(x, axis=(axis,), keepdims=True, out=side), out=out)
    np.exp(out, out=out)
    return np.divide(out, sum(out, axis=(axis,), keepdims=True, out=side), out=out)


@kernel("numpy", "log_softmax")
def log_softmax(x: np.ndarray, *, axis: int, out: np.ndarray) -> np.ndarray:
    """Subtract the maximum, then the logarithm of the sum, in place."""
    side = np.empty(_kept_shape(x, (axis,)), x.dtype)
    np.subtract(x, max(x, axis=(axis,), keepdims=True, out=side), out=out)
    powers = np.exp(out, out=np.empty(x.shape, x.dtype))
    sum(powers, axis=(axis,), keepdims=True, out=side)
    return np.subtract(out, np.log(side, out=side), out=out)


@kernel("numpy", "logsumexp")
def logsumexp(x: np.ndarray, *, axis: Axes, keepdims: bool, out: np.ndarray) -> np.ndarray:
    """One temporary array of the size of x."""
    top = np.empty(_kept_shape(x, axis), x.dtype)
    max(x, axis=axis, keepdims=True, out=top)
    top[~np.isfinite(top)] = 0
    powers = np.subtract(x, top, out=np.empty(x.shape, x.dtype))
    np.exp(powers, out=powers)
    sum(powers, axis=axis, keepdims=keepdims, out=out)
    np.log(out, out=out)
    return np.add(out, top.reshape(out.shape), out=out)
