"""Running sums and products, and differences: axes, zeros, dtypes, messages."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import GraphError, ShapeError
from minidl.graph import grad, tensor


def gradient(function, value):
    x = tensor(value, "float64")
    return grad(function(x).sum(), x).numpy().tolist()


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_a_running_total_needs_one_axis(name):
    with pytest.raises(ShapeError) as caught:
        getattr(ops, name)(tensor([[1.0]]))
    assert str(caught.value) == f"{name}: shape (1, 1) has 2 axes, not one; name one by axis="


def test_a_running_sum_may_begin_with_0():
    x = tensor([1.0, 2.0, 3.0])
    assert ops.cumulative_sum(x).numpy().tolist() == [1.0, 3.0, 6.0]
    assert ops.cumulative_sum(x, include_initial=True).numpy().tolist() == [0.0, 1.0, 3.0, 6.0]
    assert gradient(ops.cumulative_sum, [1.0, 2.0, 3.0]) == [3.0, 2.0, 1.0]


def test_a_running_sum_of_a_million_tenths_is_right_to_the_last():
    x = tensor(np.full((1_000_000, 2), 0.1, "float32"))
    last = ops.cumulative_sum(x, axis=0).numpy()[-1]
    np.testing.assert_allclose(last, 1e6 * float(np.float32(0.1)), rtol=1e-6)


def test_a_running_product_may_begin_with_1():
    x = tensor([2.0, 3.0, 4.0])
    assert ops.cumulative_prod(x).numpy().tolist() == [2.0, 6.0, 24.0]
    assert ops.cumulative_prod(x, include_initial=True).numpy().tolist() == [1.0, 2.0, 6.0, 24.0]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 9, 17])
def test_a_running_product_of_any_length_is_that_of_numpy(length):
    x = np.random.default_rng(length).uniform(-2, 2, (3, length))
    np.testing.assert_allclose(ops.cumulative_prod(tensor(x), axis=1).numpy(), x.cumprod(1))


def test_the_gradient_of_a_running_product_is_right_at_zeros():
    # z = (a, ab, abc) with b = 0
    assert gradient(ops.cumulative_prod, [2.0, 0.0, 5.0]) == [1.0, 2.0 + 10.0, 0.0]
    assert gradient(ops.cumulative_prod, [0.0, 0.0, 5.0]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("given", "result"), [("int8", "int64"), ("uint8", "uint64")])
def test_running_products_take_the_dtype_of_the_standard(given, result):
    found = ops.cumulative_prod(tensor([100, 100, 100], given))
    assert found.dtype == result
    assert found.numpy().tolist() == [100, 10_000, 1_000_000]


def test_differences_of_neighbours():
    x = tensor([[1, 4, 9, 16]])
    assert ops.diff(x).numpy().tolist() == [[3, 5, 7]]
    assert ops.diff(x, n=2).numpy().tolist() == [[2, 2]]
    assert ops.diff(x, n=0).numpy().tolist() == [[1, 4, 9, 16]]
    assert ops.diff(x, n=5).shape == (1, 0)
    assert ops.diff(x, axis=0).shape == (0, 4)
    assert ops.diff(x, prepend=[[0]], append=[[20]]).numpy().tolist() == [[1, 3, 5, 7, 4]]
    assert gradient(ops.diff, [1.0, 2.0, 3.0]) == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: ops.diff(x, axis=1),
            ShapeError,
            "diff: axis 1 is out of range for a value with 1 axes",
        ),
        (lambda x: ops.diff(x, n=-1), GraphError, "diff: n must be at least 0, not -1"),
    ],
)
def test_what_has_no_differences_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call(tensor([1.0, 2.0]))
    assert str(caught.value) == message
