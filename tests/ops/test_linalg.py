"""Shapes and messages of matrix products and transposes, and what their gradients cost."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Spec, grad, placeholder, tensor, toposort


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            (3, 4),
            (3, 4),
            "matmul: shapes (3, 4) and (3, 4) do not fit: axis -1 of the first is 4, "
            "axis -2 of the second is 3",
        ),
        (
            (3, 4),
            (3,),
            "matmul: shapes (3, 4) and (3,) do not fit: axis -1 of the first is 4, "
            "axis -1 of the second is 3",
        ),
        ((), (3,), "matmul: shapes () and (3,): a number has no matrix product; use multiply"),
        (
            (2, 3, 4),
            (3, 4, 5),
            "matmul: shapes (2,) and (3,) do not broadcast: axis -1 is 2 in one and 3 in the other",
        ),
    ],
)
def test_shapes_that_have_no_product(a, b, message):
    with pytest.raises(ShapeError) as caught:
        ops.matmul(placeholder("a", a), placeholder("b", b))
    assert str(caught.value) == message


def test_booleans_have_no_product():
    flags = tensor([[True]])
    with pytest.raises(DtypeError) as caught:
        flags @ flags
    assert str(caught.value) == "matmul: takes numbers, not bool; convert with astype"


def test_the_gradient_by_shared_weights_is_one_product_over_all_samples():
    x, w = placeholder("x", (32, 50, 8)), placeholder("w", (8, 16))
    by_w = grad((x @ w).sum(), w)
    assert by_w.op is ops.matmul
    assert [child.shape for child in by_w.inputs] == [(8, 1600), (1600, 16)]
    largest = max(node.size for node in toposort([by_w]))
    assert largest == 32 * 50 * 16


def test_flops_of_a_product():
    z = placeholder("a", (5, 3, 4)) @ placeholder("b", (4, 2))
    assert z.op.count_flops(z) == 2 * 5 * 3 * 2 * 4


def test_a_product_of_integers_is_one_of_integers():
    z = tensor([[1, 2]]) @ tensor([[3], [4]])
    assert z.spec == Spec((1, 1), "int64")
    assert z.numpy().tolist() == [[11]]


def test_a_transpose_needs_a_matrix():
    with pytest.raises(ShapeError) as caught:
        ops.matrix_transpose(tensor([1.0]))
    assert str(caught.value) == "matrix_transpose: takes a matrix, not a value of shape (1,)"


@pytest.mark.parametrize("axes", [(0, 1), (0, 1, 1), (0, 1, 2, 2), (0, 0, 1)])
def test_a_permutation_names_each_axis_once(axes):
    with pytest.raises(ShapeError) as caught:
        ops.permute_dims(placeholder("x", (2, 3, 4)), axes)
    assert str(caught.value) == (
        f"permute_dims: axes {axes} must name each of the 3 axes of shape (2, 3, 4) once"
    )


def test_permuting_there_and_back_is_the_identity():
    array = np.arange(24.0).reshape(2, 3, 4)
    x = tensor(array)
    there = ops.permute_dims(x, (2, 0, 1))
    np.testing.assert_array_equal(there.numpy(), array.transpose(2, 0, 1))
    weights = tensor(np.arange(24.0).reshape(4, 2, 3))
    back = grad((there * weights).sum(), x)
    np.testing.assert_array_equal(back.numpy(), weights.numpy().transpose(1, 2, 0))
