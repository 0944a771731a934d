"""Products of vectors and of values with any axes: other ways to write an einsum."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from minidl.errors import ShapeError
from minidl.graph.op import op, sample
from minidl.ops.einsum import einsum
from minidl.ops.shape import axes_in_order, expand_dims


@op(
    "tensordot",
    samples=[
        sample((2, 3, 4), (3, 4, 5)),
        sample((2, 3), (3, 4), axes=1),
        sample((2,), (3, 1), axes=0),
        sample((2, 3, 4), (4, 5, 2), axes=((0, -1), (2, 0))),
        sample((2, 0), (0, 3), axes=1),
    ],
)
class tensordot:
    """Sum of products over axes of two values, which the result no longer has.

    z[i…,j…] = Σ_k… x1[i…, k…] * x2[k…, j…]

    Parameters
    ----------
    x1, x2 : Tensor
        Of any numeric dtype.
    axes : int or (sequence of int, sequence of int)
        So many axes, the last of x1 and the first of x2; or the axes of each, in pairs.

    Raises
    ------
    ShapeError
        If there are no such axes, or the two of a pair differ in length.
    """

    def compose(x1, x2, /, *, axes=2):
        first, second = _paired(axes, x1, x2)
        letters = iter(string.ascii_letters)
        shared = [next(letters) for _ in first]
        terms = [
            [shared[own.index(i)] if i in own else next(letters) for i in range(x.ndim)]
            for x, own in ((x1, first), (x2, second))
        ]
        out = [letter for term in terms for letter in term if letter not in shared]
        left, right, result = ("".join(each) for each in (*terms, out))
        return einsum(f"{left},{right}->{result}", x1, x2)


def _paired(axes: Any, x1: Any, x2: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of each of two values that are summed over together."""
    if not isinstance(axes, Sequence):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise ShapeError(f"shapes {x1.shape} and {x2.shape} do not share {axes} axes")
        axes = range(-axes, 0), range(axes)
    first, second = (axes_in_order(own, x.ndim) for own, x in zip(axes, (x1, x2), strict=True))
    lengths = [x1.shape[axis] for axis in first], [x2.shape[axis] for axis in second]
    if lengths[0] != lengths[1]:
        raise ShapeError(
            f"axes {first} of shape {x1.shape} do not match axes {second} of shape {x2.shape}"
        )
    return first, second


@op(
    "vecdot",
    samples=[
        sample((3, 4), (3, 4)),
        sample((2, 3, 4), (3, 1), axis=-2),
        sample((4,), (4,)),
        sample((3, 0), (0,)),
    ],
)
class vecdot:
    """Dot products of the vectors along an axis; the other axes broadcast.

    z[…] = Σ_i x1[…, i] * x2[…, i]

    Parameters
    ----------
    x1, x2 : Tensor
        Of any numeric dtype.
    axis : int
        The axis of a vector, counted from the end: from −n to −1, where n is how many axes the
        one with fewer axes has.

    Raises
    ------
    ShapeError
        If there is no such axis, vectors differ in length, or the shapes do not broadcast.
    """

    def compose(x1, x2, /, *, axis=-1):
        fewest = min(x1.ndim, x2.ndim)
        if not -fewest <= axis < 0:
            raise ShapeError(
                f"shapes {x1.shape} and {x2.shape} take an axis from -{fewest} to -1, not {axis}"
            )
        if x1.shape[axis] != x2.shape[axis]:
            raise ShapeError(
                f"vectors along axis {axis} of shapes {x1.shape} and {x2.shape} differ in length"
            )
        return (x1 * x2).sum(axis=axis)


@op("outer", samples=[sample((3,), (4,)), sample((0,), (2,)), sample((1,), (1,))])
class outer:
    """Products of each element of one vector with each of another.

    z_ij = x1_i * x2_j

    Parameters
    ----------
    x1, x2 : Tensor
        With one axis.

    Raises
    ------
    ShapeError
        If one has another number of axes.
    """

    def compose(x1, x2, /):
        if x1.ndim != 1 or x2.ndim != 1:
            raise ShapeError(
                f"takes two values with one axis, not of shapes {x1.shape} and {x2.shape}"
            )
        return expand_dims(x1, axis=1) * expand_dims(x2, axis=0)
