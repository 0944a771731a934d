"""Values joined, cut into parts, and repeated."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from minidl.errors import ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.op import op, sample
from minidl.graph.spec import Spec, normalize_axis, promote
from minidl.ops.indexing import slice_op, take
from minidl.ops.shape import broadcast_to, expand_dims, shape_tuple, squeeze


@op(
    "concat",
    samples=[
        sample((2, 3), (1, 3), (4, 3)),
        sample((2, 3), (2, 1), axis=-1),
        sample((2, 0), (2, 2), axis=1),
    ],
)
class concat:
    """Values joined along an axis they have.

    z = [a, b, …]

    Parameters
    ----------
    *arrays : Tensor, or one sequence of them
        Their shapes agree but for ``axis``.
    axis : int
        The axis along which they are joined.
    """

    def normalize(*arrays, axis=0):
        if not arrays:
            raise ShapeError("there is nothing to join")
        return {"axis": normalize_axis(axis, arrays[0].ndim)}

    def infer(*arrays, axis=0):
        first = arrays[0].shape
        for array in arrays[1:]:
            if _without(array.shape, axis) != _without(first, axis) or array.ndim != len(first):
                raise ShapeError(
                    f"shapes {first} and {array.shape} differ in more than axis {axis}, "
                    f"along which they are joined"
                )
        joined = (*first[:axis], sum(array.shape[axis] for array in arrays), *first[axis + 1 :])
        return Spec(joined, promote(array.dtype for array in arrays))

    def forward(xp, *arrays, axis):
        return xp.concat(arrays, axis=axis)

    def backward(g, z, *arrays, axis):
        return _parts(g, [array.shape[axis] for array in arrays], axis)


@op("stack", samples=[sample((2, 3), (2, 3)), sample((2,), (2,), (2,), axis=-1)])
class stack:
    """Values of one shape joined along a new axis.

    z[…,k,…] = arrays[k]

    Parameters
    ----------
    *arrays : Tensor, or one sequence of them
        All of one shape.
    axis : int
        Where the new axis stands in the result.
    """

    def compose(*arrays, axis=0):
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1:
            found = ", ".join(str(shape) for shape in sorted(shapes)) or "none"
            raise ShapeError(f"takes values of one shape, not {found}")
        return concat(*(expand_dims(array, axis=axis) for array in arrays), axis=axis)


@op("split", samples=[sample((6, 2), parts=3), sample((2, 6), parts=(1, 2, 3), axis=1)])
class split:
    """A value cut into parts along an axis: a tuple of them.

    z_k = x[…, start_k : start_k + length_k, …]

    Parameters
    ----------
    parts : int or sequence of int
        How many equal parts, or the length of each part.
    axis : int
        The axis that is cut.
    """

    def compose(x, /, parts, axis=0):
        axis = normalize_axis(axis, x.ndim)
        lengths = _part_lengths(parts, x.shape[axis], axis)
        return _parts(x, lengths, axis)


@op("unstack", samples=[sample((3, 2)), sample((2, 3), axis=-1), sample((1,))])
class unstack:
    """The slices of a value along an axis, which they no longer have: a tuple of them.

    z_k = x[…, k, …]

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    axis : int
        The axis that is cut up.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """

    def compose(x, /, *, axis=0):
        axis = normalize_axis(axis, x.ndim)
        return tuple(squeeze(part, axis) for part in _parts(x, [1] * x.shape[axis], axis))


# -- repeated ----------------------------------------------------------------------------------


@op(
    "tile",
    samples=[
        sample((2, 3), repetitions=(2, 1)),
        sample((2, 3), repetitions=2),
        sample((3,), repetitions=(2, 2)),
        sample((2, 3), repetitions=(0, 2)),
        sample((), repetitions=(3,)),
    ],
)
class tile:
    """Copies of a value laid side by side.

    z[i,j…] = x[i mod n₀, j mod n₁, …]

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    repetitions : int or tuple of int
        How many copies along each axis; of x or of the repetitions, the one with fewer axes gets
        1s in front.

    Raises
    ------
    ShapeError
        If a number is negative.
    """

    def compose(x, /, repetitions):
        counts = _repetitions(repetitions)
        ndim = max(len(counts), x.ndim)
        counts = (1,) * (ndim - len(counts)) + counts
        shape = (1,) * (ndim - x.ndim) + x.shape
        pairs = [(1, n) for n in shape], list(zip(counts, shape, strict=True))
        alone, laid = (tuple(n for pair in each for n in pair) for each in pairs)
        copies = broadcast_to(x.reshape(alone), laid)
        return copies.reshape(tuple(count * n for count, n in pairs[1]))


@op(
    "repeat",
    samples=[
        sample((2, 3), repeats=2, axis=1),
        sample((2, 3), repeats=2),
        sample((2, 3), repeats=(2, 0, 1), axis=-1),
        sample((2, 3), repeats=0, axis=0),
    ],
)
class repeat:
    """Each element several times, one after the other.

    z[…,i,…] = x[…, ⌊i / repeats⌋, …]

    Parameters
    ----------
    x : Tensor
        Of any dtype.
    repeats : int or sequence of int
        How often: each element, or one number for each place of the axis.
    axis : int, optional
        Along which axis; None for the flattened value.

    Raises
    ------
    ShapeError
        If there is no such axis, not one number for each of its places, or a negative one.
    """

    def compose(x, /, repeats, *, axis=None):
        if axis is None:
            x, axis = x.reshape(-1), 0
        same = hasattr(repeats, "__index__")
        axis, counts = normalize_axis(axis, x.ndim), _repetitions(repeats)
        length = x.shape[axis]
        if not same and len(counts) != length:
            raise ShapeError(f"{len(counts)} repeats were given for axis {axis} of length {length}")
        if not same:
            return take(x, _each(counts), axis=axis)
        before, behind = x.shape[:axis], x.shape[axis + 1 :]
        copies = broadcast_to(expand_dims(x, axis=axis + 1), (*before, length, *counts, *behind))
        return copies.reshape((*before, length * counts[0], *behind))


def _each(counts: Sequence[int]) -> Any:
    """Return 0 as often as the first count says, then 1 as often as the second, and so on."""
    indices = [index for index, count in enumerate(counts) for _ in range(count)]
    return tensor(indices, "int64")


def _repetitions(given: int | Sequence[int]) -> tuple[int, ...]:
    counts = shape_tuple(given)
    if any(count < 0 for count in counts):
        raise ShapeError(f"nothing can be repeated {min(counts)} times")
    return counts


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _parts(x: Any, lengths: Sequence[int], axis: int) -> tuple[Any, ...]:
    """Cut ``x`` along ``axis`` into consecutive parts."""
    full = [(0, n, 1) for n in x.shape]
    bounds = pairwise(accumulate(lengths, initial=0))
    return tuple(
        slice_op(x, ranges=[*full[:axis], (start, stop, 1), *full[axis + 1 :]])
        for start, stop in bounds
    )


def _part_lengths(parts: int | Sequence[int], length: int, axis: int) -> list[int]:
    if isinstance(parts, int):
        if parts < 1 or length % parts:
            raise ShapeError(
                f"axis {axis} of length {length} cannot be cut into {parts} equal parts; "
                f"give the length of each part"
            )
        return [length // parts] * parts
    lengths = [operator.index(n) for n in parts]
    if sum(lengths) != length or any(n < 0 for n in lengths):
        raise ShapeError(
            f"parts of lengths {lengths} do not make up axis {axis} of length {length}"
        )
    return lengths
