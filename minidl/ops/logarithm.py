"""Logarithms to other bases than e, and of sums of powers, element by element."""

from __future__ import annotations

import math

from minidl.graph.op import op
from minidl.ops.activation import sigmoid
from minidl.ops.comparison import isinf
from minidl.ops.elementwise import where

_LN_2, _LN_10 = math.log(2), math.log(10)


@op(
    "log2",
    autocast="float32",
    elementwise=True,
    function="log2",
    floating=True,
    scalar="log2(x)",
    domains=((0.2, 4),),
)
class log2:
    """Logarithm to the base 2; −∞ at 0 and NaN below.

    z = ln x / ln 2
    """

    def backward(g, z, x):
        return g / (x * _LN_2)


@op(
    "log10",
    autocast="float32",
    elementwise=True,
    function="log10",
    floating=True,
    scalar="log10(x)",
    domains=((0.2, 4),),
)
class log10:
    """Logarithm to the base 10; −∞ at 0 and NaN below.

    z = ln x / ln 10
    """

    def backward(g, z, x):
        return g / (x * _LN_10)


@op(
    "logaddexp",
    autocast="float32",
    elementwise=True,
    function="logaddexp",
    floating=True,
    scalar="logaddexp(a, b)",
)
class logaddexp:
    """Logarithm of a sum of two powers, for numbers of any size; −∞ where both are −∞.

    z = ln(e^a + e^b)

    The gradient is right to the last digits however large a and b are; of two equal infinities
    each receives half.
    """

    def backward(g, z, a, b):
        above = where((a == b) & isinf(a), 0, a - b)
        return g * sigmoid(above), g * sigmoid(-above)
