"""Shapes and dtypes: what is known of a value before it is computed."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from minidl.errors import DtypeError, ShapeError, suggestion

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *INTEGERS, *FLOATS)
DEFAULT_FLOAT = "float32"
DEFAULT_INTEGER = "int64"

_ITEM_SIZE = {
    **dict.fromkeys(("bool", "int8", "uint8"), 1),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64"), 8),
}


class Spec(NamedTuple):
    """The shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: str = DEFAULT_FLOAT

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def nbytes(self) -> int:
        """Bytes of a contiguous array of this shape and dtype."""
        return self.size * _ITEM_SIZE[self.dtype]

    def with_shape(self, shape: Iterable[int]) -> Spec:
        """Return this spec with another shape."""
        return Spec(tuple(shape), self.dtype)

    def with_dtype(self, dtype: str) -> Spec:
        """Return this spec with another dtype."""
        return Spec(self.shape, dtype)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def check_dtype(dtype: object) -> str:
    """Return the name of ``dtype``, given as a name or as any namespace's dtype object.

    Raises
    ------
    DtypeError
        If minidl has no such dtype.
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if name is None:
        name = getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2]
    name = name.rstrip("_")
    if name not in DTYPES:
        raise DtypeError(
            f"unknown dtype '{name}'{suggestion(name, DTYPES)} (known: {', '.join(DTYPES)})"
        )
    return name


def array_dtype(dtype: Any) -> str:
    """Return what :func:`check_dtype` does of an array's dtype, asking the namespace once."""
    return _array_dtype(id(type(dtype)), dtype)


@functools.lru_cache(maxsize=64)
def _array_dtype(kind: int, dtype: Any) -> str:
    """``kind``, the id of its class, keeps dtypes of two namespaces from being compared."""
    return check_dtype(dtype)


def is_float(dtype: str) -> bool:
    """Whether ``dtype`` is a real floating-point dtype."""
    return dtype in FLOATS


def holds(dtype: str, value: float) -> bool:
    """Whether an integer ``dtype``, or bool, has a number exactly among its values."""
    if dtype == "bool":
        return value in (0, 1)
    bits, signed = _ITEM_SIZE[dtype] * 8, not dtype.startswith("u")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return low <= value < high and value == int(value)


def promote(dtypes: Iterable[str]) -> str:
    """Return the dtype that values of ``dtypes`` are computed in together.

    Within a kind the wider wins; a float beats an integer and an integer beats bool, whatever
    their widths, as in PyTorch. A signed with an unsigned integer takes the next wider signed one.
    """
    found = list(dict.fromkeys(dtypes))
    if len(found) == 1:
        return found[0]
    for family in (FLOATS, INTEGERS):
        members = [dtype for dtype in found if dtype in family]
        if members:
            return _widest(members)
    return "bool"


def _widest(members: list[str]) -> str:
    if {"float16", "bfloat16"}.issubset(members):
        members = [*members, "float32"]
    unsigned = max((_ITEM_SIZE[d] for d in members if d.startswith("u")), default=0)
    others = [d for d in members if not d.startswith("u")]
    if not others:
        return f"uint{unsigned * 8}"
    widest = max(others, key=_ITEM_SIZE.__getitem__)
    if _ITEM_SIZE[widest] > unsigned:
        return widest
    if unsigned == 8:
        raise DtypeError("uint64 and a signed integer have no common dtype; cast one of them")
    return f"int{unsigned * 16}"


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that ``shapes`` broadcast to, by the rule of the array API standard.

    Raises
    ------
    ShapeError
        Naming both shapes and the axis, counted from the right, where they disagree.
    """
    result = shapes[0] if shapes else ()
    for shape in shapes[1:]:
        result = _broadcast_pair(result, shape)
    return result


def _broadcast_pair(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if a == b:
        return a
    ndim = max(len(a), len(b))
    a_full = (1,) * (ndim - len(a)) + a
    b_full = (1,) * (ndim - len(b)) + b
    for axis, (m, n) in enumerate(zip(a_full, b_full, strict=True)):
        if m != n and 1 not in (m, n):
            raise ShapeError(
                f"shapes {a} and {b} do not broadcast: axis {axis - ndim} is {m} in one "
                f"and {n} in the other"
            )
    return tuple(n if m == 1 else m for m, n in zip(a_full, b_full, strict=True))


def normalize_axis(axis: int, ndim: int) -> int:
    """Return ``axis`` counted from the front; raises ShapeError if there is no such axis."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise ShapeError(f"an axis is an integer, not {axis!r}") from None
    if not -ndim <= index < ndim:
        raise ShapeError(f"axis {axis} is out of range for a value with {ndim} axes")
    return index % ndim


def normalize_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return ``axis`` (one, several, or None for all) as a sorted tuple counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    axes = tuple(sorted(normalize_axis(a, ndim) for a in given))
    if len(set(axes)) < len(axes):
        raise ShapeError(f"axes {given} name an axis twice")
    return axes
