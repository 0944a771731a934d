"""Arithmetic and functions of real numbers, element by element; inputs broadcast."""

from __future__ import annotations

from minidl.errors import DtypeError, ShapeError
from minidl.graph.leaves import scalar_constant, scalar_value
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, broadcast_shapes, is_float

_INFINITY = float("inf")
_TWO_OVER_SQRT_PI = 1.1283791670955126


def binary(a: Spec, b: Spec, /) -> Spec:
    """Return the spec of an operation on two numbers; refuse booleans, which are none."""
    if a.dtype == "bool":
        raise DtypeError("takes numbers, not bool; convert with astype, or use logical_and …")
    return a if a.shape == b.shape else Spec(broadcast_shapes(a.shape, b.shape), a.dtype)


def unary(x: Spec, /) -> Spec:
    """Return the spec of an operation on one number; refuse booleans, which are none."""
    if x.dtype == "bool":
        raise DtypeError("takes numbers, not bool; convert with astype, or use logical_not")
    return x


# -- arithmetic ------------------------------------------------------------------------------


@op("add", elementwise=True, function="add", notation="a + b", scalar="a + b")
class add:
    """Sum.

    z = a + b
    """

    infer = binary

    def backward(g, z, a, b):
        return g, g


@op("subtract", elementwise=True, function="subtract", notation="a - b", scalar="a - b")
class subtract:
    """Difference.

    z = a − b
    """

    infer = binary

    def backward(g, z, a, b):
        return g, -g


@op("multiply", elementwise=True, function="multiply", notation="a * b", scalar="a * b")
class multiply:
    """Product, element by element.

    z = a * b
    """

    infer = binary

    def backward(g, z, a, b):
        return g * b, g * a


@op(
    "divide",
    elementwise=True,
    function="divide",
    floating=True,
    notation="a / b",
    scalar="a / b",
    domains=((-2, 2), (0.5, 2)),
)
class divide:
    """Quotient; integers are divided as float32.

    z = a / b
    """

    infer = binary

    def backward(g, z, a, b):
        return g / b, -(g * z / b)


@op(
    "reciprocal",
    elementwise=True,
    function="reciprocal",
    floating=True,
    notation="1 / x",
    scalar="1 / x",
    domains=((0.5, 2),),
)
class reciprocal:
    """One divided by a number.

    z = 1 / x
    """

    infer = unary

    def backward(g, z, x):
        return -(g * square(z))


@op("negative", elementwise=True, function="negative", notation="-x", scalar="-x")
class negative:
    """Negation.

    z = −x
    """

    infer = unary

    def backward(g, z, x):
        return -g


@op("positive", elementwise=True, function="positive", notation="+x", scalar="+x")
class positive:
    """The number itself.

    z = x
    """

    infer = unary

    def backward(g, z, x):
        return g


@op(
    "pow",
    autocast="float32",
    elementwise=True,
    function="pow",
    notation="a ** b",
    scalar="pow(a, b)",
    domains=((0.5, 2), (-2, 2)),
    kink="by a, where a = b = 0, the gradient is 0; by b it is 0 where a = 0 <= b, "
    "and NaN where a < 0 or where a = 0 > b",
    samples=[
        sample(Draw((3, 4), 0.5, 2), (3, 4)),
        sample(Draw((), 0.5, 2), ()),
        sample(Draw((0, 3), 0.5, 2), (0, 3)),
        sample(Draw((2, 1, 3), 0.5, 2), (4, 1)),
        *(sample((3, 4), exponent) for exponent in (0, 1, 2, 3, 4.0)),
        *(sample(Draw((3, 4), 0.5, 2), exponent) for exponent in (-1, 0.5, -1.5)),
        sample(2.5, (3, 4)),
    ],
)
class pow:
    """Power: a to the b. The gradient by a number b is right for any sign of a.

    z = a^b
    """

    infer = binary

    def backward(g, z, a, b):
        exponent = scalar_value(b)
        if exponent is None:
            at_zero = (a == 0) & (b == 0)
            by_a = g * (b * a ** where(at_zero, 1, b - 1))
            return by_a, g * (z * log(where(a == 0, 1, a)))
        if exponent == 0:
            return scalar_constant(0.0, a.dtype), None
        return g * (b * (a if exponent == 2 else a ** (exponent - 1))), None


@op("square", elementwise=True, function="square", notation="x ** 2", scalar="x * x")
class square:
    """Square.

    z = x²
    """

    infer = unary

    def backward(g, z, x):
        return g * (2 * x)


@op(
    "sqrt",
    elementwise=True,
    function="sqrt",
    floating=True,
    scalar="sqrt(x)",
    domains=((0.2, 4),),
    kink="at 0 the gradient is infinite (NaN where ∂L/∂z is 0)",
)
class sqrt:
    """Square root; NaN below 0.

    z = √x
    """

    def backward(g, z, x):
        return g / (2 * z)


# -- exponentials and logarithms ---------------------------------------------------------------


@op("exp", autocast="float32", elementwise=True, function="exp", floating=True, scalar="exp(x)")
class exp:
    """Exponential.

    z = e^x
    """

    def backward(g, z, x):
        return g * z


@op(
    "expm1",
    autocast="float32",
    elementwise=True,
    function="expm1",
    floating=True,
    scalar="expm1(x)",
)
class expm1:
    """Exponential less one, exact to the last digits for small x.

    z = e^x − 1
    """

    def backward(g, z, x):
        return g * (z + 1)


@op(
    "log",
    autocast="float32",
    elementwise=True,
    function="log",
    floating=True,
    scalar="log(x)",
    domains=((0.2, 4),),
)
class log:
    """Natural logarithm; −∞ at 0 and NaN below.

    z = ln x
    """

    def backward(g, z, x):
        return g / x


@op(
    "log1p",
    autocast="float32",
    elementwise=True,
    function="log1p",
    floating=True,
    scalar="log1p(x)",
    domains=((-0.8, 4),),
)
class log1p:
    """Natural logarithm of 1 + x, exact to the last digits for small x.

    z = ln(1 + x)
    """

    def backward(g, z, x):
        return g / (1 + x)


@op("erf", elementwise=True, floating=True, scalar="erf(x)")
class erf:
    """Error function.

    z = 2/√π ∫₀ˣ e^(−t²) dt

    By two of the rational approximations of W. J. Cody, "Rational Chebyshev approximations for
    the error function", Mathematics of Computation 23 (1969) 631–637: good to the last digits of
    float64. His third, beyond |x| = 4, matters for 1 − erf(x) alone.
    """

    def forward(xp, x):
        wide = xp.astype(x, xp.float32) if str(x.dtype).endswith("float16") else x
        size = xp.minimum(xp.abs(wide), xp.full_like(wide, 6.0))
        squared = size * size
        inner = size * _ratio(squared, _ERF_NEAR)
        outer = 1 - xp.exp(-squared) * _ratio(size, _ERF_FAR)
        z = xp.sign(wide) * xp.where(size <= 0.46875, inner, outer)
        return xp.astype(z, x.dtype, copy=False)

    def backward(g, z, x):
        return g * (_TWO_OVER_SQRT_PI * exp(-square(x)))


_ERF_NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (
        1.0,
        2.36012909523441209e1,
        2.44024637934444173e2,
        1.28261652607737228e3,
        2.84423683343917062e3,
    ),
)
_ERF_FAR = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)


def _ratio(x, coefficients):
    """Return P(x) / Q(x), each by Horner's rule from its highest coefficient."""
    numerator, denominator = (_polynomial(x, each) for each in coefficients)
    return numerator / denominator


def _polynomial(x, coefficients):
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


# -- with kinks --------------------------------------------------------------------------------


@op(
    "abs",
    elementwise=True,
    function="abs",
    scalar="abs(x)",
    kink="at 0 the gradient is 0",
    kinks=(0.0,),
)
class abs:
    """Absolute value.

    z = |x|
    """

    infer = unary

    def backward(g, z, x):
        return g * sign(x)


@op(
    "sign",
    elementwise=True,
    function="sign",
    scalar="sign(x)",
    kink="the gradient is 0 everywhere, at 0 too",
    kinks=(0.0,),
)
class sign:
    """Sign: −1, 0 or 1.

    z = x / |x|, and 0 at 0
    """

    infer = unary

    def backward(g, z, x):
        return scalar_constant(0.0, x.dtype)


@op(
    "copysign",
    elementwise=True,
    function="copysign",
    floating=True,
    scalar="copysign(a, b)",
    kink="at a = 0 the gradient by a is 0; by b it is 0 everywhere, at 0 too",
    kinks=(0.0,),
)
class copysign:
    """The size of a with the sign of b, which a zero has too.

    z = |a| where b ≥ 0, −|a| elsewhere
    """

    infer = binary

    def backward(g, z, a, b):
        return g * (sign(a) * sign(z)), scalar_constant(0.0, b.dtype)


@op(
    "maximum",
    elementwise=True,
    function="maximum",
    scalar="maximum(a, b)",
    kink="where a = b, each receives half of the gradient",
)
class maximum:
    """The greater of two; NaN if either is.

    z = max(a, b)
    """

    infer = binary

    def backward(g, z, a, b):
        tied = where(a == b, g / 2, 0)
        return where(a > b, g, tied), where(b > a, g, tied)


@op(
    "minimum",
    elementwise=True,
    function="minimum",
    scalar="minimum(a, b)",
    kink="where a = b, each receives half of the gradient",
)
class minimum:
    """The lesser of two; NaN if either is.

    z = min(a, b)
    """

    infer = binary

    def backward(g, z, a, b):
        tied = where(a == b, g / 2, 0)
        return where(a < b, g, tied), where(b < a, g, tied)


@op(
    "clip",
    elementwise=True,
    scalar="minimum(maximum(x, min), max)",
    kink="at a bound the gradient is 1, beyond it 0",
    samples=[
        sample(Draw((3, 4), kinks=(-1.0, 1.0)), min=-1.0, max=1.0),
        sample(Draw((3, 4), kinks=(0.5,)), min=0.5),
        sample(Draw((), kinks=(0.5,)), max=0.5),
        sample((0, 3), min=0),
        sample((2, 3)),
        sample(Draw((3, 4), -5, 5, "int64"), min=-2, max=2),
    ],
)
class clip:
    """The nearest value in [min, max]; NaN stays NaN.

    z = min(max(x, min), max)

    Parameters
    ----------
    x : Tensor
        Of any numeric dtype, which is kept.
    min, max : number, optional
        Bounds; None for none. For bounds that are tensors, use ``maximum`` and ``minimum``.

    Raises
    ------
    DtypeError
        If a bound is no number, or none that an integer x can hold.
    ShapeError
        If min is greater than max.
    """

    def normalize(x, /, min=None, max=None):
        low, high = _limits(x.dtype)
        return {"min": _bound(x, "min", min, low), "max": _bound(x, "max", max, high)}

    def infer(x, /, min=None, max=None):
        if min > max:
            raise ShapeError(f"min ({min}) is greater than max ({max}); exchange them")
        return unary(x)

    def forward(xp, x, *, min, max):
        at_least = xp.maximum(x, xp.full_like(x, min))
        return xp.minimum(at_least, xp.full_like(x, max))

    def backward(g, z, x, *, min, max):
        if max == _INFINITY:
            return g * (x >= min)
        if min == -_INFINITY:
            return g * (x <= max)
        return g * ((x >= min) & (x <= max))


def _limits(dtype):
    """Return the least and the greatest value of ``dtype``."""
    if is_float(dtype) or dtype == "bool":
        return -_INFINITY, _INFINITY
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _bound(x, name, value, default):
    if value is None:
        return default
    if not isinstance(value, int | float):
        raise DtypeError(
            f"{name} is a {type(value).__name__}; give a number, or use maximum and minimum"
        )
    if is_float(x.dtype):
        return float(value)
    if value != int(value):
        raise DtypeError(f"{name}={value} is no {x.dtype}; convert x to a float dtype")
    return int(value)


@op(
    "where",
    elementwise=True,
    promoted=(1, 2),
    scalar="where(condition, x, y)",
    samples=[
        sample(Draw((3, 4), dtype="bool"), (3, 4), (3, 4)),
        sample(Draw((), dtype="bool"), (), ()),
        sample(Draw((0, 3), dtype="bool"), (0, 3), (0, 3)),
        sample(Draw((4, 1), dtype="bool"), (2, 1, 3), ()),
        sample(Draw((2, 3), dtype="bool"), (3,), 0.5),
        sample(Draw((2, 3), dtype="bool"), Draw((3,), 0, 9, "int32"), Draw((1,), 0, 9, "int64")),
    ],
)
class where:
    """x where the condition holds, y elsewhere; the other one's gradient there is 0.

    z = x if condition else y

    Raises
    ------
    DtypeError
        If the condition is not boolean.
    """

    def infer(condition, x, y, /):
        if condition.dtype != "bool":
            raise DtypeError(
                f"the condition is {condition.dtype}, not bool; write a comparison, such as x != 0"
            )
        return Spec(broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype)

    def forward(xp, condition, x, y):
        return xp.where(condition, x, y)

    def backward(g, z, condition, x, y):
        return None, where(condition, g, 0), where(condition, 0, g)
