"""Matrix products and transposes."""

from __future__ import annotations

from minidl.errors import DtypeError, ShapeError
from minidl.graph.op import op, sample
from minidl.graph.spec import Spec, broadcast_shapes, normalize_axis


@op(
    "matmul",
    autocast="low",
    function="matmul",
    notation="a @ b",
    samples=[
        sample((3, 4), (4, 2)),
        sample((4,), (4,)),
        sample((3, 4), (4,)),
        sample((4,), (4, 2)),
        sample((2, 3, 4), (4, 2)),
        sample((2, 3, 4), (2, 4, 5)),
        sample((5, 1, 3, 4), (2, 4, 1)),
        sample((3, 4), (2, 4, 2)),
        sample((2, 3, 4), (4,)),
        sample((4,), (2, 4, 3)),
        sample((1, 1), (1, 1)),
        sample((3, 0), (0, 2)),
        sample((0, 4), (4, 2)),
    ],
)
class matmul:
    """Matrix product over the last two axes; the axes before them broadcast.

    z_ij = Σ_k a_ik b_kj

    As in the array API standard, a 1-D ``a`` is a row and a 1-D ``b`` a column, and that axis is
    absent from the result.

    Raises
    ------
    ShapeError
        If an input is 0-d, or the last axis of a and the last but one of b differ.
    DtypeError
        If the inputs are boolean.
    """

    def infer(a, b, /):
        if a.dtype == "bool":
            raise DtypeError("takes numbers, not bool; convert with astype")
        if not a.shape or not b.shape:
            raise ShapeError(
                f"shapes {a.shape} and {b.shape}: a number has no matrix product; use multiply"
            )
        rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
        inner, of_b = a.shape[-1], b.shape[-2 if b.ndim > 1 else -1]
        if inner != of_b:
            raise ShapeError(
                f"shapes {a.shape} and {b.shape} do not fit: axis -1 of the first is {inner}, "
                f"axis {-2 if b.ndim > 1 else -1} of the second is {of_b}"
            )
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return Spec(batch + rows + columns, a.dtype)

    def backward(g, z, a, b):
        if a.ndim == 2 == b.ndim:
            return g @ b.T, _by_second(g, a, b)
        if a.ndim == 1 == b.ndim:
            return g * b, g * a
        if a.ndim == 1:
            row = g.reshape(_with_axis(g.shape, -2))
            return row @ b.mT, a.reshape(-1, 1) @ row
        if b.ndim == 1:
            column = g.reshape(*g.shape, 1)
            return column @ b.reshape(1, -1), _as_matrix(a).T @ g.reshape(-1)
        if b.ndim == 2:
            # one product over all samples, not one for each and then their sum
            return g @ b.T, _by_second(_as_matrix(g), _as_matrix(a), b)
        return g @ b.mT, a.mT @ g

    def flops(z, a, b):
        return 2 * z.size * a.shape[-1]


def _by_second(g, a, b):
    """Return aᵀ g; where b is a transpose, as (gᵀ a)ᵀ, laid out as what b is the transpose of."""
    return (g.T @ a).T if b.op is matrix_transpose else a.T @ g


def _with_axis(shape, position):
    at = len(shape) + 1 + position
    return (*shape[:at], 1, *shape[at:])


def _as_matrix(x):
    """Return the rows of ``x`` below each other, as one matrix."""
    rows = 1
    for length in x.shape[:-1]:
        rows *= length
    return x if x.ndim == 2 else x.reshape(rows, x.shape[-1])


@op(
    "matrix_transpose",
    function="matrix_transpose",
    view=True,
    notation="x.T",
    samples=[sample((3, 4)), sample((2, 3, 4)), sample((1, 5)), sample((0, 3))],
)
class matrix_transpose:
    """Transpose: the last two axes exchanged.

    z_ij = x_ji

    Raises
    ------
    ShapeError
        If x has fewer than two axes.
    """

    def infer(x, /):
        if x.ndim < 2:
            raise ShapeError(f"takes a matrix, not a value of shape {x.shape}")
        return x.with_shape((*x.shape[:-2], x.shape[-1], x.shape[-2]))

    def backward(g, z, x):
        return g.mT


@op(
    "permute_dims",
    function="permute_dims",
    view=True,
    samples=[
        sample((2, 3, 4), axes=(2, 0, 1)),
        sample((2, 3, 4), axes=(0, -1, 1)),
        sample((3, 4), axes=(0, 1)),
        sample((), axes=()),
        sample((0, 3), axes=(1, 0)),
    ],
)
class permute_dims:
    """The same elements with the axes in another order.

    z[i_axes[0], i_axes[1], …] = x[i_0, i_1, …]

    Parameters
    ----------
    x : Tensor
        Of any shape and dtype.
    axes : tuple of int
        For each axis of the result, which axis of x it is.

    Raises
    ------
    ShapeError
        If ``axes`` does not name each axis of x once.
    """

    def normalize(x, /, axes):
        given = tuple(axes)
        order = tuple(normalize_axis(axis, x.ndim) for axis in given)
        if sorted(order) != list(range(x.ndim)):
            raise ShapeError(
                f"axes {given} must name each of the {x.ndim} axes of shape {x.shape} once"
            )
        return {"axes": order}

    def infer(x, /, axes):
        return x.with_shape(x.shape[axis] for axis in axes)

    def backward(g, z, x, *, axes):
        return permute_dims(g, tuple(axes.index(axis) for axis in range(len(axes))))
