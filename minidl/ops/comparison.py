"""Comparisons and logic, element by element: from numbers or booleans to booleans."""

from __future__ import annotations

from minidl.errors import DtypeError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, broadcast_shapes

_BOOLEAN = "its output is boolean"
_FLAGS = Draw((3, 4), dtype="bool")
_DIGITS = Draw((3, 4), 0, 3, dtype="int64")

_EQUAL_SAMPLES = [
    sample(_DIGITS, _DIGITS),
    sample(_FLAGS, _FLAGS),
    sample((), ()),
    sample((0, 3), (0, 3)),
    sample((2, 1, 3), (4, 1)),
]
_ORDER_SAMPLES = [
    sample(_DIGITS, _DIGITS),
    sample((3, 4), (3, 4)),
    sample((), ()),
    sample((0, 3), (0, 3)),
    sample((2, 1, 3), (4, 1)),
]
_LOGIC_SAMPLES = [
    sample(_FLAGS, _FLAGS),
    sample(Draw((2, 1, 3), dtype="bool"), Draw((4, 1), dtype="bool")),
    sample(Draw((), dtype="bool"), Draw((0, 3), dtype="bool")),
]


def compared(a: Spec, b: Spec, /) -> Spec:
    """Return the spec of a comparison of any two values."""
    return Spec(broadcast_shapes(a.shape, b.shape), "bool")


def ordered(a: Spec, b: Spec, /) -> Spec:
    """Return the spec of a comparison by size; refuse booleans, which have none."""
    if a.dtype == "bool":
        raise DtypeError("takes numbers, not bool; convert with astype")
    return compared(a, b)


def logical(a: Spec, b: Spec, /) -> Spec:
    """Return the spec of a combination of booleans; refuse numbers."""
    for spec in (a, b):
        if spec.dtype != "bool":
            raise DtypeError(f"takes bool, not {spec.dtype}; write a comparison, such as x != 0")
    return compared(a, b)


@op(
    "equal",
    elementwise=True,
    function="equal",
    notation="a == b",
    scalar="a == b",
    no_gradient=_BOOLEAN,
    samples=_EQUAL_SAMPLES,
)
class equal:
    """Whether two values are equal; NaN equals nothing.

    z = (a = b)
    """

    infer = compared


@op(
    "not_equal",
    elementwise=True,
    function="not_equal",
    notation="a != b",
    scalar="a != b",
    no_gradient=_BOOLEAN,
    samples=_EQUAL_SAMPLES,
)
class not_equal:
    """Whether two values differ; NaN differs from everything.

    z = (a ≠ b)
    """

    infer = compared


@op(
    "less",
    elementwise=True,
    function="less",
    notation="a < b",
    scalar="a < b",
    no_gradient=_BOOLEAN,
    samples=_ORDER_SAMPLES,
)
class less:
    """Whether a is less than b; false if either is NaN.

    z = (a < b)
    """

    infer = ordered


@op(
    "less_equal",
    elementwise=True,
    function="less_equal",
    notation="a <= b",
    scalar="a <= b",
    no_gradient=_BOOLEAN,
    samples=_ORDER_SAMPLES,
)
class less_equal:
    """Whether a is at most b; false if either is NaN.

    z = (a ≤ b)
    """

    infer = ordered


@op(
    "greater",
    elementwise=True,
    function="greater",
    notation="a > b",
    scalar="a > b",
    no_gradient=_BOOLEAN,
    samples=_ORDER_SAMPLES,
)
class greater:
    """Whether a is greater than b; false if either is NaN.

    z = (a > b)
    """

    infer = ordered


@op(
    "greater_equal",
    elementwise=True,
    function="greater_equal",
    notation="a >= b",
    scalar="a >= b",
    no_gradient=_BOOLEAN,
    samples=_ORDER_SAMPLES,
)
class greater_equal:
    """Whether a is at least b; false if either is NaN.

    z = (a ≥ b)
    """

    infer = ordered


@op(
    "logical_and",
    elementwise=True,
    function="logical_and",
    scalar="logical_and(a, b)",
    no_gradient=_BOOLEAN,
    samples=_LOGIC_SAMPLES,
)
class logical_and:
    """Whether both of two booleans hold; also written ``a & b``.

    z = a ∧ b
    """

    infer = logical


@op(
    "logical_or",
    elementwise=True,
    function="logical_or",
    scalar="logical_or(a, b)",
    no_gradient=_BOOLEAN,
    samples=_LOGIC_SAMPLES,
)
class logical_or:
    """Whether at least one of two booleans holds; also written ``a | b``.

    z = a ∨ b
    """

    infer = logical


@op(
    "logical_xor",
    elementwise=True,
    function="logical_xor",
    scalar="logical_xor(a, b)",
    no_gradient=_BOOLEAN,
    samples=_LOGIC_SAMPLES,
)
class logical_xor:
    """Whether exactly one of two booleans holds; also written ``a ^ b``.

    z = a ⊕ b
    """

    infer = logical


@op(
    "logical_not",
    elementwise=True,
    function="logical_not",
    scalar="logical_not(x)",
    no_gradient=_BOOLEAN,
    samples=[sample(_FLAGS), sample(Draw((), dtype="bool")), sample(Draw((0, 3), dtype="bool"))],
)
class logical_not:
    """Whether a boolean does not hold; also written ``~x``.

    z = ¬x
    """

    def infer(x, /):
        return logical(x, x)


def _judged(x: Spec, /) -> Spec:
    return ordered(x, x)


_NUMBER_SAMPLES = [
    sample([1.0, float("inf"), float("-inf"), float("nan"), -0.0]),
    sample(()),
    sample((0, 3)),
    sample(_DIGITS),
]


@op(
    "isfinite",
    elementwise=True,
    function="isfinite",
    scalar="isfinite(x)",
    no_gradient=_BOOLEAN,
    samples=_NUMBER_SAMPLES,
)
class isfinite:
    """Whether a number is neither infinite nor NaN.

    z = (|x| < ∞)
    """

    infer = _judged


@op(
    "isinf",
    elementwise=True,
    function="isinf",
    scalar="isinf(x)",
    no_gradient=_BOOLEAN,
    samples=_NUMBER_SAMPLES,
)
class isinf:
    """Whether a number is ∞ or −∞.

    z = (|x| = ∞)
    """

    infer = _judged


@op(
    "isnan",
    elementwise=True,
    function="isnan",
    scalar="isnan(x)",
    no_gradient=_BOOLEAN,
    samples=_NUMBER_SAMPLES,
)
class isnan:
    """Whether a number is NaN, the result of 0 / 0 and its like.

    z = (x ≠ x)
    """

    infer = _judged


@op(
    "signbit",
    elementwise=True,
    function="signbit",
    floating=True,
    scalar="signbit(x)",
    no_gradient=_BOOLEAN,
    samples=_NUMBER_SAMPLES,
)
class signbit:
    """Whether a number has a minus sign, as −0 has too.

    z = (x < 0, or x = −0)
    """

    infer = _judged
