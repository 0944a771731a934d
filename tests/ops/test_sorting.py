"""Sorting and searching: ties, NaN, both orders, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor

NAN = math.nan
TIED = [[2.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_argmax_and_argmin_give_the_first_of_equals_as_int64():
    x = tensor([[1.0, 5.0, 5.0], [0.0, 0.0, -1.0]])
    assert ops.argmax(x, axis=1).numpy().tolist() == [1, 0]
    assert ops.argmin(x, axis=1, keepdims=True).numpy().tolist() == [[0], [2]]
    assert ops.argmax(x).item() == 1
    assert ops.argmin(x).numpy().dtype == "int64"


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
@pytest.mark.parametrize(
    ("descending", "order"),
    [(False, [[3, 1, 0, 2], [0, 1, 2, 3]]), (True, [[0, 2, 1, 3], [0, 1, 2, 3]])],
)
def test_equals_keep_their_order_upwards_and_downwards(descending, order, backend):
    with use_backend(backend):
        x = tensor(TIED)
        for stable in (True, False):
            found = ops.argsort(x, descending=descending, stable=stable)
            assert found.dtype == "int64"
            assert found.numpy().tolist() == order
        values = ops.sort(x, descending=descending).numpy()
    np.testing.assert_array_equal(values, np.take_along_axis(np.array(TIED), np.array(order), 1))


def test_equals_receive_the_gradient_of_their_places_in_order():
    x = tensor(TIED, "float64")
    weights = tensor([1.0, 10.0, 100.0, 1000.0], "float64")
    for descending, expected in (
        (False, [[100.0, 10.0, 1000.0, 1.0], [1.0, 10.0, 100.0, 1000.0]]),
        (True, [[1.0, 100.0, 10.0, 1000.0], [1.0, 10.0, 100.0, 1000.0]]),
    ):
        loss = (ops.sort(x, descending=descending) * weights).sum()
        assert grad(loss, x).numpy().tolist() == expected


def test_nan_counts_as_greater_than_everything():
    x = tensor([NAN, 1.0, math.inf, 0.0])
    np.testing.assert_array_equal(ops.sort(x).numpy(), [0.0, 1.0, math.inf, NAN])
    np.testing.assert_array_equal(ops.sort(x, descending=True).numpy(), [NAN, math.inf, 1.0, 0.0])
    assert ops.argsort(x).numpy().tolist() == [3, 1, 2, 0]
    assert ops.argsort(x, descending=True).numpy().tolist() == [0, 2, 1, 3]


def test_the_median_of_rows_has_the_gradient_of_its_element():
    x = tensor([[3.0, 1.0, 2.0], [9.0, 8.0, 7.0]])
    median = ops.sort(x, axis=1)[:, 1]
    assert median.numpy().tolist() == [2.0, 8.0]
    assert grad(median.sum(), x).numpy().tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_a_value_belongs_before_or_behind_its_equals():
    edges = tensor([0.0, 1.0, 1.0, 3.0])
    asked = tensor([[-1.0, 1.0], [3.0, 9.0]])
    left, right = (ops.searchsorted(edges, asked, side=side) for side in ("left", "right"))
    assert left.dtype == "int64"
    assert left.numpy().tolist() == [[0, 1], [3, 4]]
    assert right.numpy().tolist() == [[0, 3], [4, 4]]


def test_membership():
    x = tensor([[1, 5], [7, 3]])
    assert ops.isin(x, [3, 1]).numpy().tolist() == [[True, False], [False, True]]
    assert ops.isin(x, [[3], [1]], invert=True).numpy().tolist() == [[False, True], [True, False]]
    assert ops.isin(tensor([NAN]), [NAN]).numpy().tolist() == [False]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.sort(tensor(1.0)),
            ShapeError,
            "sort: axis -1 is out of range for a value with 0 axes",
        ),
        (
            lambda: ops.argsort(tensor([[1.0]]), axis=2),
            ShapeError,
            "argsort: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda: ops.sort(tensor([True])),
            DtypeError,
            "sort: takes numbers, not bool; convert with astype",
        ),
        (
            lambda: ops.searchsorted(tensor([[1.0]]), 0.5),
            ShapeError,
            "searchsorted: takes sorted values with one axis, not of shape (1, 1)",
        ),
        (
            lambda: ops.searchsorted(tensor([1.0]), 0.5, side="middle"),
            GraphError,
            "searchsorted: side is 'left' or 'right', not 'middle'",
        ),
    ],
)
def test_what_cannot_be_ordered_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
