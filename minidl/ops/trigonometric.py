"""Functions of angles and their inverses, and those of the hyperbola, element by element."""

from __future__ import annotations

from minidl.graph.op import op
from minidl.ops.elementwise import sqrt, square, where

# -- of the circle -----------------------------------------------------------------------------


@op("sin", elementwise=True, function="sin", floating=True, scalar="sin(x)")
class sin:
    """Sine of an angle in radians.

    z = sin x
    """

    def backward(g, z, x):
        return g * cos(x)


@op("cos", elementwise=True, function="cos", floating=True, scalar="cos(x)")
class cos:
    """Cosine of an angle in radians.

    z = cos x
    """

    def backward(g, z, x):
        return -(g * sin(x))


@op(
    "tan",
    autocast="float32",
    elementwise=True,
    function="tan",
    floating=True,
    scalar="tan(x)",
    domains=((-1.3, 1.3),),
)
class tan:
    """Tangent of an angle in radians.

    z = sin x / cos x
    """

    def backward(g, z, x):
        return g * (1 + square(z))


@op(
    "asin",
    autocast="float32",
    elementwise=True,
    function="asin",
    floating=True,
    scalar="asin(x)",
    domains=((-0.9, 0.9),),
    kink="at ±1 the gradient is infinite (NaN where ∂L/∂z is 0)",
)
class asin:
    """Angle from −π/2 to π/2 whose sine is x; NaN beyond ±1.

    z = arcsin x
    """

    def backward(g, z, x):
        return g / sqrt((1 - x) * (1 + x))


@op(
    "acos",
    autocast="float32",
    elementwise=True,
    function="acos",
    floating=True,
    scalar="acos(x)",
    domains=((-0.9, 0.9),),
    kink="at ±1 the gradient is infinite (NaN where ∂L/∂z is 0)",
)
class acos:
    """Angle from 0 to π whose cosine is x; NaN beyond ±1.

    z = arccos x
    """

    def backward(g, z, x):
        return -(g / sqrt((1 - x) * (1 + x)))


@op("atan", elementwise=True, function="atan", floating=True, scalar="atan(x)")
class atan:
    """Angle from −π/2 to π/2 whose tangent is x.

    z = arctan x
    """

    def backward(g, z, x):
        return g / (1 + square(x))


@op(
    "atan2",
    elementwise=True,
    function="atan2",
    floating=True,
    scalar="atan2(a, b)",
    kink="at the origin the gradient is 0; across the half-line a = 0 > b, where the value jumps "
    "by 2π, it is that on either side",
    kinks=(0.0,),
)
class atan2:
    """Angle from −π to π at which the point (b, a) is seen from the origin.

    z = arctan(a / b), in the quadrant of (b, a)
    """

    def backward(g, z, a, b):
        distance = _not_zero(hypot(a, b))
        return g * (b / distance) / distance, -(g * (a / distance) / distance)


@op(
    "hypot",
    elementwise=True,
    function="hypot",
    floating=True,
    scalar="hypot(a, b)",
    kink="at the origin the gradient is 0",
    kinks=(0.0,),
)
class hypot:
    """Distance of the point (a, b) from the origin, without overflow on the way.

    z = √(a² + b²)
    """

    def backward(g, z, a, b):
        distance = _not_zero(z)
        return g * (a / distance), g * (b / distance)


def _not_zero(distance):
    return where(distance == 0, 1, distance)


# -- of the hyperbola --------------------------------------------------------------------------


@op("sinh", autocast="float32", elementwise=True, function="sinh", floating=True, scalar="sinh(x)")
class sinh:
    """Hyperbolic sine.

    z = (e^x − e^−x) / 2
    """

    def backward(g, z, x):
        return g * cosh(x)


@op("cosh", autocast="float32", elementwise=True, function="cosh", floating=True, scalar="cosh(x)")
class cosh:
    """Hyperbolic cosine.

    z = (e^x + e^−x) / 2
    """

    def backward(g, z, x):
        return g * sinh(x)


@op("asinh", elementwise=True, function="asinh", floating=True, scalar="asinh(x)")
class asinh:
    """Inverse hyperbolic sine.

    z = ln(x + √(x² + 1))
    """

    def backward(g, z, x):
        return g / hypot(x, 1)


@op(
    "acosh",
    autocast="float32",
    elementwise=True,
    function="acosh",
    floating=True,
    scalar="acosh(x)",
    domains=((1.2, 4),),
    kink="at 1 the gradient is infinite (NaN where ∂L/∂z is 0)",
)
class acosh:
    """Inverse hyperbolic cosine, from 0 on; NaN below 1.

    z = ln(x + √(x² − 1))
    """

    def backward(g, z, x):
        # not the root of the product, which overflows
        return g / (sqrt(x - 1) * sqrt(x + 1))


@op(
    "atanh",
    autocast="float32",
    elementwise=True,
    function="atanh",
    floating=True,
    scalar="atanh(x)",
    domains=((-0.8, 0.8),),
)
class atanh:
    """Inverse hyperbolic tangent; ±∞ at ±1 and NaN beyond.

    z = ½ ln((1 + x) / (1 − x))
    """

    def backward(g, z, x):
        return g / ((1 - x) * (1 + x))
