"""Values made from their shape: NumPy's own, in the dtypes that are promised."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import tensor

CALLS = {
    "zeros": (lambda: ops.zeros((2, 3)), np.zeros((2, 3), "float32")),
    "zeros of one length": (lambda: ops.zeros(2, dtype="int8"), np.zeros(2, "int8")),
    "ones": (lambda: ops.ones((), dtype="float64"), np.ones(())),
    "true": (lambda: ops.ones(3, dtype="bool"), np.ones(3, "bool")),
    "full": (lambda: ops.full((2,), 7), np.full(2, 7, "float32")),
    "full of integers": (lambda: ops.full((2,), 7, dtype="int64"), np.full(2, 7)),
    "arange": (lambda: ops.arange(4), np.arange(4)),
    "arange of floats": (lambda: ops.arange(0, 1, 0.25), np.arange(0, 1, 0.25, "float32")),
    "arange down": (lambda: ops.arange(5, -1, -2), np.arange(5, -1, -2)),
    "arange that ends before it begins": (lambda: ops.arange(3, 1), np.arange(3, 1)),
    "linspace": (lambda: ops.linspace(-1, 1, 5), np.linspace(-1, 1, 5, dtype="float32")),
    "linspace without its end": (
        lambda: ops.linspace(0, 1, 4, endpoint=False),
        np.linspace(0, 1, 4, endpoint=False, dtype="float32"),
    ),
    "eye": (lambda: ops.eye(2, 3, k=1), np.eye(2, 3, k=1, dtype="float32")),
    "square eye": (lambda: ops.eye(2, dtype="bool"), np.eye(2, dtype="bool")),
    "zeros_like": (lambda: ops.zeros_like(tensor([[1], [2]], "int16")), np.zeros((2, 1), "int16")),
    "full_like": (lambda: ops.full_like(tensor([1, 2], "int8"), 7), np.full(2, 7, "int8")),
    "full_like of another dtype": (
        lambda: ops.full_like(tensor([1, 2]), 0.5, dtype="float64"),
        np.full(2, 0.5),
    ),
    "columns of a grid": (
        lambda: ops.meshgrid([1, 2, 3], [5, 6])[0],
        np.array([[1, 2, 3], [1, 2, 3]]),
    ),
    "rows of a grid": (
        lambda: ops.meshgrid([1, 2, 3], [5, 6], indexing="ij")[0],
        np.array([[1, 1], [2, 2], [3, 3]]),
    ),
    "ones_like": (lambda: ops.ones_like(tensor([1, 2]), dtype="float64"), np.ones(2)),
}


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
@pytest.mark.parametrize(("make", "expected"), CALLS.values(), ids=CALLS)
def test_it_makes_what_numpy_does(make, expected, backend):
    with use_backend(backend):
        found = make()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype.name)
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ops.zeros((2, -1)), ShapeError, "zeros: shape (2, -1) has a negative length"),
        (lambda: ops.zeros(2.5), ShapeError, "zeros: a shape is made of integers, not 2.5"),
        (
            lambda: ops.ones(2, dtype="float33"),
            DtypeError,
            "ones: unknown dtype 'float33'; did you mean 'float32'? (known: bool, int8, int16, "
            "int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64)",
        ),
        (
            lambda: ops.full(2, 0.5, dtype="int32"),
            DtypeError,
            "full: 0.5 is no value of dtype int32",
        ),
        (
            lambda: ops.full_like(tensor([1, 2]), 0.5),
            DtypeError,
            "full_like: 0.5 is no value of dtype int64",
        ),
        (
            lambda: ops.meshgrid([[1]], [2]),
            ShapeError,
            "meshgrid: takes coordinates with one axis, not of shape (1, 1)",
        ),
        (
            lambda: ops.meshgrid([1], indexing="yx"),
            GraphError,
            "meshgrid: indexing is 'xy' or 'ij', not 'yx'",
        ),
        (lambda: ops.arange(0, 5, 0), ShapeError, "arange: step must not be 0"),
        (
            lambda: ops.linspace(0, 1, 3, dtype="int64"),
            DtypeError,
            "linspace: evenly spaced numbers have a float dtype, not int64",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
