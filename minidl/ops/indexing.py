"""Indexing: parts of a value, chosen by slices or by integer arrays, and their way back."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any

from minidl import registry
from minidl.backends.dtypes import dtype_object
from minidl.errors import DtypeError, ShapeError
from minidl.graph.node import Tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import (
    INTEGERS,
    Spec,
    broadcast_shapes,
    check_dtype,
    normalize_axis,
)
from minidl.ops.linalg import permute_dims

_INTEGER_INPUT = "its input holds integers"


@op(
    "slice",
    view=True,
    samples=[
        sample((4, 5), ranges=((1, 3, 1), (0, 5, 2))),
        sample((4, 5), ranges=((3, -1, -1), (4, 0, -2))),
        sample((4,), ranges=((2, 2, 1),)),
    ],
)
class slice_op:
    """Every ``step``-th element from ``start`` up to ``stop``, along each axis.

    z[i,j…] = x[start₀ + i · step₀, start₁ + j · step₁, …]

    Parameters
    ----------
    ranges : sequence of (start, stop, step)
        As of ``range(start, stop, step)``, one for each axis: a ``stop`` of -1 with a negative
        step reaches through element 0.
    """

    def normalize(x, /, *, ranges):
        if len(ranges) != x.ndim:
            raise ShapeError(f"{len(ranges)} ranges were given for a value with {x.ndim} axes")
        return {"ranges": tuple(_canonical(given) for given in ranges)}

    def infer(x, /, *, ranges):
        for axis, (given, n) in enumerate(zip(ranges, x.shape, strict=True)):
            places = range(*given)
            if places and not (0 <= places[0] < n and 0 <= places[-1] < n):
                raise ShapeError(f"range {given} leaves axis {axis} of length {n}")
        return x.with_shape(_lengths(ranges))

    def forward(xp, x, *, ranges):
        return x[_slices(ranges)]

    def backward(g, z, x, *, ranges):
        return unslice(g, ranges=ranges, shape=x.shape)


@op(
    "unslice",
    samples=[
        sample((2, 3), ranges=((1, 3, 1), (0, 5, 2)), shape=(4, 5)),
        sample((4,), ranges=((3, -1, -1),), shape=(4,)),
    ],
)
class unslice:
    """Zeros of a shape with the value at the places of a slice: what ``slice`` undoes.

    z[start₀+i·step₀,…] = x[i, …],  and 0 at all other places

    Parameters
    ----------
    ranges : sequence of (start, stop, step)
        As of ``slice``.
    shape : tuple of int
        Shape of the result.
    """

    def normalize(x, /, *, ranges, shape):
        return {"ranges": tuple(_canonical(given) for given in ranges), "shape": tuple(shape)}

    def infer(x, /, *, ranges, shape):
        if _lengths(ranges) != x.shape:
            raise ShapeError(f"a value of shape {x.shape} does not fill ranges {ranges}")
        return x.with_shape(shape)

    def forward(xp, x, *, ranges, shape):
        result = xp.zeros(shape, dtype=x.dtype)
        result[_slices(ranges)] = x
        return result

    def backward(g, z, x, *, ranges, shape):
        return slice_op(g, ranges=ranges)


@op(
    "take",
    promoted=(),
    samples=[
        sample((5, 3), Draw((2, 4), 0, 5, dtype="int64"), axis=0),
        sample((2, 5, 3), [4, 0, 0, -1], axis=1),
        sample((5,), [[3, -2]]),
        sample((2, 3), 1, axis=-1),
        sample((4, 2), Draw((0,), 0, 4, dtype="int32"), axis=0),
    ],
)
class take:
    """Elements by their indices along an axis: rows of a table, as an embedding needs them.

    z[…,i…,…] = x[…, indices[i…], …]

    Parameters
    ----------
    indices : Tensor of integers, of any shape
        It takes the place of the axis in the result's shape. Negative ones count from the end.
        On ``numpy`` an index out of range is a ShapeError when the program runs; on other
        backends, where checking would wait for the device, the result is undefined.
    axis : int, optional
        May be left out if ``x`` has one axis.
    """

    def normalize(x, indices, /, *, axis=None):
        if axis is None and x.ndim != 1:
            raise ShapeError(f"a value with {x.ndim} axes needs axis=")
        return {"axis": normalize_axis(0 if axis is None else axis, x.ndim)}

    def infer(x, indices, /, *, axis=None):
        require_integers(indices, "indices")
        return x.with_shape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])

    def forward(xp, x, indices, *, axis):
        flat = xp.reshape(_wrapped(xp, indices, x.shape[axis]), (-1,))
        shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
        return xp.reshape(xp.take(x, flat, axis=axis), shape)

    def backward(g, z, x, indices, *, axis):
        return scatter_add(g, indices, shape=x.shape, axis=axis), None


@op(
    "take_along_axis",
    promoted=(),
    samples=[
        sample((3, 4), Draw((3, 2), 0, 4, dtype="int64")),
        sample((3, 4), [[0, -1, 2, 0], [1, 1, 0, -3]], axis=0),
        sample((2, 3, 4), Draw((2, 1, 4), 0, 3, dtype="int32"), axis=1),
        sample((2, 1, 4), [[[0], [3]]]),
        sample((3, 4), Draw((3, 0), 0, 4, dtype="int64")),
    ],
)
class take_along_axis:
    """Elements by their indices along an axis, at each place of the other axes its own.

    z[…,i,j,…] = x[…, indices[…,i,j,…], j, …],  along the axis of i

    Parameters
    ----------
    indices : Tensor of integers, with as many axes as ``x``
        Lengths of other axes than ``axis`` broadcast. Negative ones count from the end. Out of
        range as for ``take``.
    axis : int
        Along which axis; ``argsort``, and ``argmax`` with ``keepdims``, make indices for it.

    Raises
    ------
    ShapeError
        If there is no such axis, or the shapes do not go together.
    DtypeError
        If ``indices`` are no integers.
    """

    def normalize(x, indices, /, *, axis=-1):
        return {"axis": normalize_axis(axis, x.ndim)}

    def infer(x, indices, /, *, axis=-1):
        require_integers(indices, "indices")
        if indices.ndim != x.ndim:
            raise ShapeError(
                f"a value of shape {x.shape} takes indices with {x.ndim} axes, "
                f"not of shape {indices.shape}"
            )
        places = (*x.shape[:axis], indices.shape[axis], *x.shape[axis + 1 :])
        return x.with_shape(broadcast_shapes(places, indices.shape))

    def forward(xp, x, indices, *, axis):
        return xp.take_along_axis(x, _wrapped(xp, indices, x.shape[axis]), axis=axis)

    def backward(g, z, x, indices, *, axis):
        own = [_counted(n, i, x.ndim) for i, n in enumerate(x.shape)]
        places = ravel_index(*own[:axis], indices, *own[axis + 1 :], lengths=x.shape)
        added = scatter_add(g.reshape(-1), places.reshape(-1), shape=(x.size,), axis=0)
        return added.reshape(x.shape), None


def _counted(length, axis, ndim):
    """Return 0, 1, 2 … along one of some axes."""
    numbers = registry.get("op", "arange")(length)
    return numbers.reshape((length,) + (1,) * (ndim - axis - 1))


@op(
    "scatter_add",
    promoted=(),
    samples=[
        sample((2, 4, 3), Draw((2, 4), 0, 5, dtype="int64"), shape=(5, 3), axis=0),
        sample((2, 4, 3), [4, 0, 0, -1], shape=(2, 5, 3), axis=1),
        sample((2, 0), Draw((0,), 0, 4, dtype="int64"), shape=(2, 4), axis=1),
        sample((2,), 1, shape=(2, 3), axis=1),
    ],
)
class scatter_add:
    """Values summed into zeros at indices along an axis: the gradient of ``take``.

    z[…,k,…] = Σ x[…, i…, …] over the i… with indices[i…] = k

    The general rule sorts the indices and adds up runs of equal ones by doubling, in
    O(n log n) and always in the same order.

    Parameters
    ----------
    indices : Tensor of integers
        Its axes are those of ``x`` from ``axis`` on. As for ``take``, negative ones count from
        the end, and one out of range is an error on ``numpy`` and undefined elsewhere.
    shape : tuple of int
        Shape of the result.
    axis : int
        The axis of the result that the indices count along.
    """

    def normalize(x, indices, /, *, shape, axis):
        return {"shape": tuple(shape), "axis": normalize_axis(axis, len(shape))}

    def infer(x, indices, /, *, shape, axis):
        require_integers(indices, "indices")
        expected = shape[:axis] + indices.shape + shape[axis + 1 :]
        if x.shape != expected:
            raise ShapeError(
                f"indices of shape {indices.shape} along axis {axis} of shape {shape} take values "
                f"of shape {expected}, not {x.shape}"
            )
        return x.with_shape(shape)

    def forward(xp, x, indices, *, shape, axis):
        count = shape[axis]
        keys = xp.reshape(_wrapped(xp, indices, count), (-1,))
        order = (*range(axis, axis + indices.ndim), *range(axis))
        order += tuple(range(axis + indices.ndim, x.ndim))
        others = shape[:axis] + shape[axis + 1 :]
        columns = Spec(others).size
        rows = xp.reshape(xp.permute_dims(x, order), (keys.shape[0], columns))
        sums = xp.reshape(_sums_by_key(xp, rows, keys, count), (count, *others))
        back = (*range(1, axis + 1), 0, *range(axis + 1, len(shape)))
        return xp.permute_dims(sums, back)

    def backward(g, z, x, indices, *, shape, axis):
        return take(g, indices, axis=axis), None


@op(
    "ravel_index",
    no_gradient=_INTEGER_INPUT,
    samples=[sample([0, 1, -1], [3, -4, 0], lengths=(2, 4)), sample([[1], [0]], 2, lengths=(2, 3))],
)
class ravel_index:
    """The index into the flattened array, row by row, that several indices together stand for.

    z = (i₀ · n₁ + i₁) · n₂ + i₂ …

    Parameters
    ----------
    *indices : Tensor of integers
        One for each axis; they broadcast. Negative ones count from the end. Out of range as for
        ``take``.
    lengths : tuple of int
        Length of each axis.
    """

    def normalize(*indices, lengths):
        if len(indices) != len(lengths):
            raise ShapeError(f"{len(indices)} indices were given for axes of lengths {lengths}")
        return {"lengths": tuple(lengths)}

    def infer(*indices, lengths):
        for index in indices:
            require_integers(index, "indices")
        return Spec(broadcast_shapes(*(index.shape for index in indices)), "int64")

    def forward(xp, *indices, lengths):
        flat = xp.zeros((), dtype=xp.int64)
        for index, length in zip(indices, lengths, strict=True):
            flat = flat * length + _wrapped(xp, index, length)
        return flat


@op(
    "one_hot",
    no_gradient=_INTEGER_INPUT,
    samples=[
        sample([2, 0, 1], num_classes=3),
        sample([[0, 1], [3, 3]], num_classes=4, axis=1, dtype="float64"),
        sample(1, num_classes=2, dtype="int32"),
    ],
)
class one_hot:
    """Vectors with a 1 at an index and 0 elsewhere.

    z[…,k] = 1 if k = indices[…], else 0

    Parameters
    ----------
    indices : Tensor of integers, from 0 to num_classes − 1
        On ``numpy`` another one is a DataError when the program runs; elsewhere it gives zeros.
    num_classes : int
        Length of the new axis.
    axis : int
        Where the new axis stands in the result.
    dtype : str
        Of the result.
    """

    def normalize(indices, /, num_classes, *, axis=-1, dtype="float32"):
        return {
            "num_classes": operator.index(num_classes),
            "axis": normalize_axis(axis, indices.ndim + 1),
            "dtype": check_dtype(dtype),
        }

    def infer(indices, /, num_classes, *, axis=-1, dtype="float32"):
        require_integers(indices, "indices")
        if num_classes < 0:
            raise ShapeError(f"there cannot be {num_classes} classes")
        shape = indices.shape[:axis] + (num_classes,) + indices.shape[axis:]
        return Spec(shape, dtype)

    def forward(xp, indices, *, num_classes, axis, dtype):
        classes = xp.arange(num_classes, dtype=xp.int64)
        classes = xp.reshape(classes, (num_classes,) + (1,) * (indices.ndim - axis))
        hot = xp.astype(xp.expand_dims(indices, axis=axis), xp.int64) == classes
        return xp.astype(hot, dtype_object(xp, dtype))


@op(
    "in_range",
    no_gradient=_INTEGER_INPUT,
    samples=[
        sample([[0, 2], [3, 1]], low=0, high=3),
        sample(Draw((0,), dtype="int32"), low=1, high=2, name="length"),
    ],
)
class in_range:
    """Integers as they are, of which none may lie outside a range.

    z = x, where low ≤ x ≤ high

    Parameters
    ----------
    x : Tensor of integers
        On ``numpy`` one out of range is a DataError when the program runs; on other backends,
        where checking would wait for the device, nothing is checked.
    low, high : int
    name : str
        What an element is called in the error: "index", "length".
    """

    def normalize(x, /, *, low, high, name="value"):
        return {"low": operator.index(low), "high": operator.index(high), "name": name}

    def infer(x, /, *, low, high, name="value"):
        require_integers(x, "its input")
        return x

    def forward(xp, x, *, low, high, name):
        return xp.asarray(x, copy=True)


@op(
    "getitem",
    samples=[
        sample((3, 4), key=1),
        sample((3, 4), key=(builtins.slice(None), builtins.slice(None, None, -2))),
        sample((3, 4), key=(..., None, 0)),
        sample((3, 4), key=[2, 0, 0]),
        sample((3, 4, 2), key=(builtins.slice(1, None), [3, 0], [0, 1])),
        sample((3, 4, 2), key=([[0], [2]], builtins.slice(None), [0, 1])),
    ],
)
class getitem:
    """Parts of a value, by the rules of NumPy.

    z = x[key]

    Parameters
    ----------
    key : int, slice, None, Ellipsis, integer Tensor, array or list, or a tuple of them
        Integers remove an axis, slices keep it, None adds one. Index arrays broadcast against
        each other; their axes stand where the first one did, or in front if a slice, None or
        Ellipsis parts them. For boolean masks use ``where``: the shape of their result depends
        on values.
    """

    def compose(x, /, key):
        parsed = _parse(key, x.shape)
        if any(given != (0, n, 1) for given, n in zip(parsed.ranges, x.shape, strict=True)):
            x = slice_op(x, ranges=parsed.ranges)
        if x.shape != tuple(parsed.shape):
            x = x.reshape(tuple(parsed.shape))
        return _take_together(x, parsed) if parsed.indices else x


@dataclass
class _Key:
    """A parsed key: slices on the old axes, a reshape, index arrays on the new axes."""

    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    indices: dict[int, Tensor] = field(default_factory=dict)
    parted: bool = False


def _parse(key: Any, shape: tuple[int, ...]) -> _Key:
    items = _expanded(key if isinstance(key, tuple) else (key,), len(shape))
    lengths = iter(shape)
    parsed = _Key()
    advanced: list[int] = []
    for position, item in enumerate(items):
        if item is None:
            parsed.shape.append(1)
            continue
        n = next(lengths)
        if isinstance(item, builtins.slice):
            given = _canonical(item.indices(n))
            parsed.ranges.append(given)
            parsed.shape.append(len(range(*given)))
            continue
        advanced.append(position)
        if isinstance(item, int):
            index = _checked(item, n, len(parsed.ranges))
            parsed.ranges.append((index, index + 1, 1))
        else:
            parsed.indices[len(parsed.shape)] = item
            parsed.ranges.append(_canonical((0, n, 1)))
            parsed.shape.append(n)
    parsed.parted = any(b - a > 1 for a, b in zip(advanced, advanced[1:], strict=False))
    return parsed


def _expanded(items: tuple[Any, ...], ndim: int) -> list[Any]:
    """Return the items in canonical types, with the Ellipsis written out."""
    known = [_item(item) for item in items]
    taken = sum(item is not None and item is not Ellipsis for item in known)
    if taken > ndim:
        raise ShapeError(f"{taken} indices were given for a value with {ndim} axes")
    holes = [place for place, item in enumerate(known) if item is Ellipsis]
    if len(holes) > 1:
        raise ShapeError("a key may hold one ellipsis (...), not several")
    hole = holes[0] if holes else len(known)
    everything = [builtins.slice(None)] * (ndim - taken)
    return [*known[:hole], *everything, *known[hole + 1 :]]


def _item(item: Any) -> Any:
    if item is None or isinstance(item, EllipsisType | builtins.slice):
        return item
    if isinstance(item, bool | list | tuple | Tensor) or getattr(item, "shape", ()) != ():
        index = _index_tensor(item)
        if index.dtype == "bool":
            raise DtypeError("boolean masks cannot index a value; use where(mask, x, other)")
        require_integers(index.spec, "indices")
        return index
    try:
        return operator.index(item)
    except TypeError:
        raise DtypeError(
            f"indices are integers, slices, None, ... or integer arrays, not {type(item).__name__}"
        ) from None


def _index_tensor(item: Any) -> Tensor:
    from minidl.graph.leaves import tensor

    empty = isinstance(item, list | tuple) and not item
    return tensor(item, dtype="int64" if empty else None)


def _checked(index: int, length: int, axis: int) -> int:
    if not -length <= index < length:
        raise ShapeError(f"index {index} is out of range for axis {axis} of length {length}")
    return index % length


def _take_together(x: Tensor, parsed: _Key) -> Tensor:
    """Index several axes at once: merge them into one and take from it."""
    axes = sorted(parsed.indices)
    target = 0 if parsed.parted else axes[0]
    others = [axis for axis in range(x.ndim) if axis not in parsed.indices]
    order = (*others[:target], *axes, *others[target:])
    if order != tuple(range(x.ndim)):
        x = permute_dims(x, axes=order)
    if len(axes) == 1:
        return take(x, parsed.indices[axes[0]], axis=target)
    end = target + len(axes)
    lengths = x.shape[target:end]
    flat = ravel_index(*(parsed.indices[axis] for axis in axes), lengths=lengths)
    merged = x.reshape((*x.shape[:target], Spec(lengths).size, *x.shape[end:]))
    return take(merged, flat, axis=target)


def _canonical(given: Sequence[int]) -> tuple[int, int, int]:
    """Return the range that visits the same places in the one way it can be written."""
    start, stop, step = (operator.index(n) for n in given)
    count = len(range(start, stop, step))
    if count == 0:
        return (0, 0, 1)
    if count == 1:
        return (start, start + 1, 1)
    return (start, start + (count - 1) * step + (1 if step > 0 else -1), step)


def _lengths(ranges: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    return tuple(len(range(*given)) for given in ranges)


def _slices(ranges: Sequence[tuple[int, int, int]]) -> tuple[Any, ...]:
    """Return the key of ``ranges``; the ellipsis makes a 0-d result an array, not a scalar."""
    slices = (
        builtins.slice(start, None if stop < 0 else stop, step) for start, stop, step in ranges
    )
    return (..., *slices)


def _wrapped(xp: Any, indices: Any, length: int) -> Any:
    """Return the indices as int64, negative ones counted from the end."""
    indices = xp.astype(indices, xp.int64)
    return xp.where(indices < 0, indices + length, indices)


def _sums_by_key(xp: Any, rows: Any, keys: Any, count: int) -> Any:
    """Return, for each key below ``count``, the sum of the rows that have it."""
    n = keys.shape[0]
    if n == 0 or count == 0:
        return xp.zeros((count, rows.shape[1]), dtype=rows.dtype)
    order = xp.argsort(keys)
    keys, rows = xp.take(keys, order), xp.take(rows, order, axis=0)
    zero = xp.zeros((), dtype=rows.dtype)
    reach = 1
    while reach < n:
        same = xp.expand_dims(keys[reach:] == keys[:-reach], axis=1)
        more = rows[:-reach, :] + xp.where(same, rows[reach:, :], zero)
        rows = xp.concat([more, rows[-reach:, :]])
        reach *= 2
    wanted = xp.arange(count, dtype=keys.dtype)
    first = xp.searchsorted(keys, wanted)
    first = xp.where(first < n, first, n - 1)
    present = xp.expand_dims(xp.take(keys, first) == wanted, axis=1)
    return xp.where(present, xp.take(rows, first, axis=0), zero)


def require_integers(spec: Spec, what: str) -> None:
    """Raise DtypeError unless ``spec`` has an integer dtype."""
    if spec.dtype not in INTEGERS:
        raise DtypeError(f"{what} must be integers, not {spec.dtype}")
