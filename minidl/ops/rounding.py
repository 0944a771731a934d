"""Rounding to whole numbers, and division that leaves a remainder, element by element."""

from __future__ import annotations

from minidl.graph.leaves import scalar_constant
from minidl.graph.op import Draw, op, sample
from minidl.ops.elementwise import binary, unary

_FLAT = "the gradient is 0 everywhere, where the value jumps too"
_WHOLE = (-2.0, -1.0, 0.0, 1.0, 2.0)
_HALVES = (-1.5, -0.5, 0.5, 1.5)


@op("floor", elementwise=True, function="floor", scalar="floor(x)", kink=_FLAT, kinks=_WHOLE)
class floor:
    """The greatest whole number that is not above x, in the dtype of x.

    z = ⌊x⌋
    """

    infer = unary

    def backward(g, z, x):
        return scalar_constant(0.0, x.dtype)


@op("ceil", elementwise=True, function="ceil", scalar="ceil(x)", kink=_FLAT, kinks=_WHOLE)
class ceil:
    """The least whole number that is not below x, in the dtype of x.

    z = ⌈x⌉
    """

    infer = unary

    def backward(g, z, x):
        return scalar_constant(0.0, x.dtype)


@op("trunc", elementwise=True, function="trunc", scalar="trunc(x)", kink=_FLAT, kinks=_WHOLE)
class trunc:
    """The whole number next to x on the side of 0, in the dtype of x.

    z = ⌊|x|⌋ with the sign of x
    """

    infer = unary

    def backward(g, z, x):
        return scalar_constant(0.0, x.dtype)


@op("round", elementwise=True, function="round", scalar="round(x)", kink=_FLAT, kinks=_HALVES)
class round:
    """The whole number nearest to x, the even one of two, in the dtype of x.

    z = ⌊x + ½⌋, or the even neighbour where x + ½ is whole
    """

    infer = unary

    def backward(g, z, x):
        return scalar_constant(0.0, x.dtype)


_UP, _DOWN = Draw((3, 4), 2.2, 2.8), Draw((3, 4), -2.8, -2.2)
_DIVISOR = Draw((3, 4), 0.95, 1.05)
_DIVISIONS = [
    sample(_UP, _DIVISOR),
    sample(_DOWN, _DIVISOR),
    sample(_UP, Draw((4,), -1.05, -0.95)),
    sample(Draw((), 2.2, 2.8), Draw((2, 1), 0.95, 1.05)),
    sample((0, 3), (0, 3)),
    sample(Draw((3, 4), -9, 9, "int64"), Draw((3, 4), 1, 5, "int64")),
]
"""Quotients that keep away from whole numbers, where the value jumps."""


@op(
    "floor_divide",
    elementwise=True,
    function="floor_divide",
    notation="a // b",
    scalar="a // b",
    kink=_FLAT,
    samples=_DIVISIONS,
)
class floor_divide:
    """Quotient, rounded down to a whole number.

    z = ⌊a / b⌋
    """

    infer = binary

    def backward(g, z, a, b):
        return scalar_constant(0.0, a.dtype), scalar_constant(0.0, b.dtype)


@op(
    "remainder",
    elementwise=True,
    function="remainder",
    notation="a % b",
    scalar="a % b",
    kink="at multiples of b, where the value jumps, the gradient is that of the side where it is 0",
    samples=_DIVISIONS,
)
class remainder:
    """What division by b leaves of a, with the sign of b, as Python's ``%``.

    z = a − ⌊a / b⌋ * b
    """

    infer = binary

    def backward(g, z, a, b):
        return g, -(g * floor_divide(a, b))
