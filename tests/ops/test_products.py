"""Tensor, vector and outer products: NumPy's own, and their messages."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import tensor

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 3, 5))


@pytest.mark.parametrize(
    "axes", [0, ((2,), (0,)), ((1, 2), (1, 0)), ((-1, -2), (0, 1)), ((), ())], ids=str
)
def test_tensordot_is_that_of_numpy(axes):
    found = ops.tensordot(tensor(A), tensor(B), axes=axes).numpy()
    np.testing.assert_allclose(found, np.tensordot(A, B, axes), rtol=1e-12)


def test_vectors_along_any_axis_are_multiplied():
    x, y = A, RNG.normal(size=(3, 1))
    np.testing.assert_allclose(
        ops.vecdot(tensor(x), tensor(y), axis=-2).numpy(), (x * y).sum(-2), rtol=1e-12
    )
    assert ops.vecdot(tensor([1, 2]), tensor([3, 4])).item() == 11


def test_outer_is_every_product():
    assert ops.outer([1, 2], [3, 4, 5]).numpy().tolist() == [[3, 4, 5], [6, 8, 10]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda a, b: ops.tensordot(a, b),
            "tensordot: axes (1, 2) of shape (2, 3, 4) do not match axes (0, 1) of shape (4, 3, 5)",
        ),
        (
            lambda a, b: ops.tensordot(a, b, axes=4),
            "tensordot: shapes (2, 3, 4) and (4, 3, 5) do not share 4 axes",
        ),
        (
            lambda a, b: ops.tensordot(a, b, axes=((1, 1), (0, 0))),
            "tensordot: axes (1, 1) name an axis twice",
        ),
        (
            lambda a, b: ops.tensordot(a, b, axes=((1, 2), (1,))),
            "tensordot: axes (1, 2) of shape (2, 3, 4) do not match axes (1,) of shape (4, 3, 5)",
        ),
        (
            lambda a, b: ops.vecdot(a, b, axis=0),
            "vecdot: shapes (2, 3, 4) and (4, 3, 5) take an axis from -3 to -1, not 0",
        ),
        (
            lambda a, b: ops.vecdot(a, b),
            "vecdot: vectors along axis -1 of shapes (2, 3, 4) and (4, 3, 5) differ in length",
        ),
        (
            lambda a, b: ops.vecdot(a, b, axis=-2),
            "vecdot: shapes (2, 3, 4) and (4, 3, 5) do not broadcast: axis -3 is 2 in one and 4 "
            "in the other",
        ),
        (
            lambda a, b: ops.outer(a, b),
            "outer: takes two values with one axis, not of shapes (2, 3, 4) and (4, 3, 5)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ShapeError) as caught:
        call(tensor(A), tensor(B))
    assert str(caught.value) == message
