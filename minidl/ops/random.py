"""Random draws: stateless functions of a key, and so of (seed, stream, step).

All come from one counter-based generator, Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel
random numbers: as easy as 1, 2, 3", SC 2011). A key is the vector (seed, stream, step). Block
b = 1, 2, 3 … of a draw is what Philox makes of the key words (seed, stream) and the counter words
(b, 0, step, 0): four words of 64 bits. Integer arithmetic is exact, so the bits are the same on
every backend, and so are uniform draws, which are these bits times a power of two.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.backends.dtypes import dtype_object
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import INTEGERS, Spec, check_dtype, is_float
from minidl.ops.elementwise import where
from minidl.ops.shape import shape_tuple

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_UNIFORM_BITS = {"bfloat16": 8, "float16": 11, "float32": 24}
_LOW = 0xFFFFFFFF
_NOT_CONTINUOUS = "random bits do not change smoothly with anything"
_SOME_BITS = Draw((4,), 0, 2**62, dtype="uint64")


@op("random_key", promoted=(), no_gradient="a key is made of integers", samples=[sample(1, 2, 3)])
class random_key:
    """The key of a draw: different keys give independent draws, equal ones the same.

    z = (seed, stream, step)

    Parameters
    ----------
    seed, stream, step : int or 0-d integer Tensor
        Taken modulo 2⁶⁴. By convention, ``seed`` is that of the run, ``stream`` tells apart those
        who draw, and ``step`` counts their draws; any of them may be an input of a program.

    Returns
    -------
    Tensor of shape (3,), int64
    """

    def infer(seed, stream, step, /):
        for name, part in (("seed", seed), ("stream", stream), ("step", step)):
            if part.dtype not in INTEGERS or part.shape != ():
                raise DtypeError(f"{name} must be one integer, not {part}")
        return Spec((3,), "int64")

    def forward(xp, seed, stream, step):
        return xp.stack([xp.astype(part, xp.int64) for part in (seed, stream, step)])


@op(
    "random_bits",
    promoted=(),
    no_gradient=_NOT_CONTINUOUS,
    samples=[
        sample([1, 2, 3], shape=(3, 5)),
        sample([7, 0, 0], shape=()),
        sample([-1, 5, 2**40], shape=(2, 0)),
    ],
)
class random_bits:
    """Random words of 64 bits, each bit 0 or 1 with the same probability.

    z = Philox(key words (seed, stream), counter words (1, 0, step, 0), (2, 0, step, 0) …)

    Parameters
    ----------
    key : Tensor
        From ``random_key``.
    shape : tuple of int

    Returns
    -------
    Tensor of ``shape``, uint64
    """

    def normalize(key, /, *, shape):
        return {"shape": shape_tuple(shape)}

    def infer(key, /, *, shape):
        if key.dtype not in INTEGERS or key.shape != (3,):
            raise DtypeError(f"a key comes from random_key(seed, stream, step); this is {key}")
        return Spec(shape, "uint64")

    def forward(xp, key, *, shape):
        count = math.prod(shape)
        words = xp.astype(key, xp.uint64)
        block = xp.arange(1, (count + 3) // 4 + 1, dtype=xp.uint64)
        zero = xp.zeros(block.shape, dtype=xp.uint64)
        counter = (block, zero, zero + words[2:3], zero)
        made = xp.stack(_philox(counter, (words[0:1], words[1:2])), axis=-1)
        return xp.reshape(xp.reshape(made, (-1,))[:count], shape)


@op(
    "uniform_from_bits",
    no_gradient=_NOT_CONTINUOUS,
    samples=[
        sample(_SOME_BITS, shape=(7,), dtype="float32"),
        sample(_SOME_BITS, shape=(2, 2), dtype="float64"),
    ],
)
class uniform_from_bits:
    """Evenly drawn numbers in [0, 1) from words of 64 bits.

    z = n · 2⁻⁵³ in float64, n being the upper 53 bits of a word
    z = n · 2⁻²⁴ in float32, n being the upper 24 bits of half a word, the lower half first
    z = n · 2⁻¹¹ in float16, n being the upper 11 bits of half a word; in bfloat16 the upper 8

    Parameters
    ----------
    shape : tuple of int
        Of the result; there must be enough words for it.
    dtype : str
        A float dtype.
    """

    def normalize(bits, /, *, shape, dtype="float32"):
        return {"shape": shape_tuple(shape), "dtype": check_dtype(dtype)}

    def infer(bits, /, *, shape, dtype="float32"):
        return _drawn(bits, shape, dtype, _words(math.prod(shape), dtype))

    def forward(xp, bits, *, shape, dtype):
        if dtype == "float64":
            numbers, drop, scale = bits, 11, 2.0**-53
        else:
            kept = _UNIFORM_BITS[dtype]
            numbers, drop, scale = _halves(xp, bits), 32 - kept, 2.0**-kept
        numbers = xp.astype(numbers[: math.prod(shape)] >> drop, dtype_object(xp, dtype))
        return xp.reshape(numbers * scale, shape)


@op(
    "normal_from_bits",
    no_gradient=_NOT_CONTINUOUS,
    samples=[
        sample(_SOME_BITS, shape=(7,), dtype="float32"),
        sample(_SOME_BITS, shape=(3,), dtype="float64"),
    ],
)
class normal_from_bits:
    """Standard normal numbers from words of 64 bits, in pairs (Box and Muller 1958).

    z = √(−2 ln u) cos 2πv  and  √(−2 ln u) sin 2πv

    u and v, in (0, 1], take 53 bits each in float64, else 32 of which float32 keeps 24. All pairs'
    u come first, then all their v; of the result, the cosines come first, then the sines.
    Backends may round logarithm and sine differently, so draws agree to a few units in the last
    place. None is larger than 8.7 in float64, or 6.8 in float32.

    Parameters
    ----------
    shape : tuple of int
        Of the result; there must be enough words for an even number of values.
    dtype : str
        A float dtype.
    """

    def normalize(bits, /, *, shape, dtype="float32"):
        return {"shape": shape_tuple(shape), "dtype": check_dtype(dtype)}

    def infer(bits, /, *, shape, dtype="float32"):
        return _drawn(bits, shape, dtype, _normal_words(math.prod(shape), dtype))

    def forward(xp, bits, *, shape, dtype):
        count = math.prod(shape)
        pairs = (count + 1) // 2
        if dtype == "float64":
            numbers = xp.astype(bits[: 2 * pairs] >> 11, xp.float64)
            uniform = (numbers + 0.5) * 2.0**-53
        else:
            numbers = xp.astype(_halves(xp, bits)[: 2 * pairs], xp.float32)
            uniform = (numbers + 0.5) * 2.0**-32
        radius = xp.sqrt(-2.0 * xp.log(uniform[:pairs]))
        angle = uniform[pairs:] * (2.0 * math.pi)
        both = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)])
        return xp.astype(xp.reshape(both[:count], shape), dtype_object(xp, dtype))


@op(
    "uniform",
    samples=[sample([1, 2, 3], shape=(2, 3), low=-1.0, high=3.0, dtype="float64")],
    no_gradient=_NOT_CONTINUOUS,
)
class uniform:
    """Numbers drawn evenly from [low, high).

    z = low + (high − low) u, with u from ``uniform_from_bits``. Rounding can make it ``high``.

    Parameters
    ----------
    key : Tensor
        From ``random_key``.
    shape : tuple of int
    low, high : float
    dtype : str
        A float dtype.

    Raises
    ------
    GraphError
        If ``high`` is below ``low``.
    """

    def compose(key, /, *, shape, low=0.0, high=1.0, dtype="float32"):
        if not high >= low:
            raise GraphError(f"uniform: high must not be below low, but {high} < {low}")
        lengths, kind = shape_tuple(shape), check_dtype(dtype)
        bits = random_bits(key, shape=(_words(math.prod(lengths), kind),))
        drawn = uniform_from_bits(bits, shape=lengths, dtype=kind)
        return drawn if (low, high) == (0, 1) else drawn * float(high - low) + float(low)


@op(
    "normal",
    samples=[sample([1, 2, 3], shape=(2, 3), mean=1.0, std=2.0, dtype="float64")],
    no_gradient=_NOT_CONTINUOUS,
)
class normal:
    """Normally distributed numbers.

    z = mean + std · n, with n from ``normal_from_bits``

    Parameters
    ----------
    key : Tensor
        From ``random_key``.
    shape : tuple of int
    mean, std : float
    dtype : str
        A float dtype.

    Raises
    ------
    GraphError
        If ``std`` is negative.
    """

    def compose(key, /, *, shape, mean=0.0, std=1.0, dtype="float32"):
        if not std >= 0:
            raise GraphError(f"normal: std must not be negative, not {std}")
        lengths, kind = shape_tuple(shape), check_dtype(dtype)
        bits = random_bits(key, shape=(_normal_words(math.prod(lengths), kind),))
        drawn = normal_from_bits(bits, shape=lengths, dtype=kind)
        return drawn if (mean, std) == (0, 1) else drawn * float(std) + float(mean)


@op(
    "bernoulli",
    samples=[sample([1, 2, 3], p=0.3, shape=(4, 5))],
    no_gradient=_NOT_CONTINUOUS,
)
class bernoulli:
    """True with probability p.

    z = u < p, with u drawn by ``uniform`` in float32

    Parameters
    ----------
    key : Tensor
        From ``random_key``.
    p : float
        From 0 (never true) to 1 (always true); rounded to a multiple of 2⁻²⁴ upwards.
    shape : tuple of int

    Raises
    ------
    GraphError
        If ``p`` is not a probability.
    """

    def compose(key, /, p, *, shape):
        if not 0 <= p <= 1:
            raise GraphError(f"bernoulli: p must be from 0 to 1, not {p}")
        return uniform(key, shape=shape) < float(p)


@op(
    "dropout",
    samples=[
        sample((4, 5), [1, 2, 3], p=0.4),
        sample((3,), [1, 2, 3], p=0.0),
        sample((2, 0), [1, 2, 3], p=0.5),
    ],
)
class dropout:
    """Each element becomes 0 with probability p, and the others grow to keep the expected sum.

    z = x / (1 − p) where kept, else 0          (Srivastava et al. 2014)

    The gradient passes where the element was kept.

    Parameters
    ----------
    key : Tensor
        From ``random_key``.
    p : float
        From 0, which changes nothing, to below 1.

    Raises
    ------
    GraphError
        If ``p`` is not in [0, 1).
    """

    def compose(x, key, /, *, p=0.5):
        if not 0 <= p < 1:
            raise GraphError(f"dropout: p must be at least 0 and below 1, not {p}")
        if not is_float(x.dtype):
            raise DtypeError(f"dropout: takes floats, not {x.dtype}")
        if p == 0:
            return x
        kept = bernoulli(key, 1.0 - p, shape=x.shape)
        return where(kept, x * (1.0 / (1.0 - p)), 0.0)


def _philox(counter: tuple[Any, ...], key: tuple[Any, Any]) -> list[Any]:
    """Return the four words that Philox makes of a counter of four and a key of two."""
    a, b, c, d = counter
    first, second = key
    for _ in range(_ROUNDS):
        high_a, low_a = _product(a, _MULTIPLIERS[0])
        high_c, low_c = _product(c, _MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
        first, second = first + _KEY_STEPS[0], second + _KEY_STEPS[1]
    return [a, b, c, d]


def _product(x: Any, factor: int) -> tuple[Any, Any]:
    """Return the upper and lower 64 bits of x · factor, from products of 32-bit halves."""
    x_high, x_low = x >> 32, x & _LOW
    f_high, f_low = factor >> 32, factor & _LOW
    lowest = x_low * f_low
    mixed = x_high * f_low
    middle = (lowest >> 32) + (mixed & _LOW) + x_low * f_high
    return (mixed >> 32) + (middle >> 32) + x_high * f_high, (middle << 32) | (lowest & _LOW)


def _halves(xp: Any, bits: Any) -> Any:
    """Return the two 32-bit halves of each word, the lower one first."""
    low, high = xp.astype(bits & _LOW, xp.uint32), xp.astype(bits >> 32, xp.uint32)
    return xp.reshape(xp.stack([low, high], axis=-1), (-1,))


def _words(count: int, dtype: str) -> int:
    """How many words ``count`` draws take."""
    return count if dtype == "float64" else (count + 1) // 2


def _normal_words(count: int, dtype: str) -> int:
    return _words(2 * ((count + 1) // 2), dtype)


def _drawn(bits: Spec, shape: tuple[int, ...], dtype: str, needed: int) -> Spec:
    if not is_float(dtype):
        raise DtypeError(f"draws have a float dtype, not {dtype}")
    if bits.dtype != "uint64" or bits.ndim != 1 or bits.size < needed:
        raise ShapeError(f"a draw of shape {shape} takes {needed} words of bits, not {bits}")
    return Spec(shape, dtype)
