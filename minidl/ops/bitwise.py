"""Operations on the bits of integers, and on booleans, element by element."""

from __future__ import annotations

from minidl.errors import DtypeError
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, broadcast_shapes, is_float

_BITS = "its inputs hold integers"
_INTEGERS = Draw((3, 4), -9, 9, dtype="int64")
_BINARY = [
    sample(_INTEGERS, _INTEGERS),
    sample(Draw((3, 1), 0, 9, "uint8"), Draw((4,), 0, 9, "uint8")),
    sample(Draw((3, 4), dtype="bool"), Draw((), dtype="bool")),
    sample(Draw((0, 3), 0, 2, "int32"), 1),
]
_SHIFTS = [
    sample(_INTEGERS, Draw((3, 4), 0, 5, dtype="int64")),
    sample(Draw((3, 1), 0, 9, "uint8"), Draw((4,), 0, 3, "uint8")),
    sample(Draw((0, 3), 0, 2, "int32"), 1),
]


def _combined(a: Spec, b: Spec, /) -> Spec:
    for spec in (a, b):
        if is_float(spec.dtype):
            raise DtypeError(f"takes integers or bool, not {spec.dtype}")
    return Spec(broadcast_shapes(a.shape, b.shape), a.dtype)


def _shifted(a: Spec, b: Spec, /) -> Spec:
    if a.dtype == "bool":
        raise DtypeError("takes integers, not bool; convert with astype")
    return _combined(a, b)


@op(
    "bitwise_and",
    elementwise=True,
    function="bitwise_and",
    scalar="a & b",
    no_gradient=_BITS,
    samples=_BINARY,
)
class bitwise_and:
    """The bits that two integers both have.

    z = a ∧ b, bit by bit
    """

    infer = _combined


@op(
    "bitwise_or",
    elementwise=True,
    function="bitwise_or",
    scalar="a | b",
    no_gradient=_BITS,
    samples=_BINARY,
)
class bitwise_or:
    """The bits that at least one of two integers has.

    z = a ∨ b, bit by bit
    """

    infer = _combined


@op(
    "bitwise_xor",
    elementwise=True,
    function="bitwise_xor",
    scalar="a ^ b",
    no_gradient=_BITS,
    samples=_BINARY,
)
class bitwise_xor:
    """The bits that exactly one of two integers has.

    z = a ⊕ b, bit by bit
    """

    infer = _combined


@op(
    "bitwise_invert",
    elementwise=True,
    function="bitwise_invert",
    scalar="~x",
    no_gradient=_BITS,
    samples=[sample(_INTEGERS), sample(Draw((4,), dtype="bool")), sample(Draw((), 0, 9, "uint8"))],
)
class bitwise_invert:
    """The bits that an integer does not have.

    z = ¬x, bit by bit
    """

    def infer(x, /):
        return _combined(x, x)


@op(
    "bitwise_left_shift",
    elementwise=True,
    function="bitwise_left_shift",
    scalar="a << b",
    no_gradient=_BITS,
    samples=_SHIFTS,
)
class bitwise_left_shift:
    """The bits of an integer, moved up by so many places, with zeros behind them.

    z = a * 2^b
    """

    infer = _shifted


@op(
    "bitwise_right_shift",
    elementwise=True,
    function="bitwise_right_shift",
    scalar="a >> b",
    no_gradient=_BITS,
    samples=_SHIFTS,
)
class bitwise_right_shift:
    """The bits of an integer, moved down by so many places; the last ones are lost.

    z = ⌊a / 2^b⌋
    """

    infer = _shifted
