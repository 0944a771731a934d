"""Pooling to a given size: PyTorch's results, ties, and sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import grad, placeholder, tensor

SIZES = [
    ((2, 3, 7, 9), (2, 4)),
    ((2, 3, 8, 6), (4, 3)),
    ((2, 3, 7, 9), 1),
    ((2, 3, 3, 2), 5),
    ((2, 3, 4, 5), (4, 5)),
    ((1, 2, 1, 1), (2, 1)),
    ((0, 2, 4, 4), 3),
    ((2, 3, 4, 5), (None, 2)),
]


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(("image", "size"), SIZES)
def test_adaptive_pooling_is_that_of_pytorch(kind, image, size):
    pytest.importorskip("torch")
    compare_op_with_torch(f"adaptive_{kind}_pool2d", image, output_size=size)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(("shape", "size"), [((2, 3, 7), 3), ((1, 2, 3), 5), ((0, 2, 6), 2)])
def test_adaptive_pooling_of_sequences_is_that_of_pytorch(kind, shape, size):
    pytest.importorskip("torch")
    compare_op_with_torch(f"adaptive_{kind}_pool1d", shape, output_size=size)


def test_of_equal_maxima_the_first_row_by_row_receives_the_gradient():
    # rows 0 to 1 and 1 to 2, columns 0 to 2 and 2 to 4
    x = tensor([[[[0.0, 1, 2, 0, 0], [2.0, 2, 0, 0, 2], [0.0, 0, 0, 1, 2]]]])
    found = grad(ops.adaptive_max_pool2d(x, output_size=2).sum(), x).numpy()
    expected = [[0, 0, 2, 0, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(found[0, 0], expected)


def test_infinities_and_nan_come_through():
    x = np.zeros((1, 1, 5), "float32")
    x[0, 0, [0, 4]] = -np.inf, np.nan
    found = ops.adaptive_max_pool1d(x, output_size=3).numpy()
    np.testing.assert_array_equal(found, [[[0.0, 0.0, np.nan]]])


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_sizes_that_do_not_fit_are_refused(kind):
    pool2d, pool1d = (getattr(ops, f"adaptive_{kind}_pool{n}d") for n in (2, 1))
    with pytest.raises(ShapeError) as error:
        pool2d(placeholder("x", (1, 2, 0, 4)), output_size=2)
    assert str(error.value) == (
        f"adaptive_{kind}_pool2d: takes images of shape (batch, channels, height, width) that have "
        f"elements, not (1, 2, 0, 4)"
    )
    with pytest.raises(ShapeError) as error:
        pool2d(placeholder("x", (1, 2, 4, 4)), output_size=(2, 0))
    assert str(error.value) == (
        f"adaptive_{kind}_pool2d: output_size is a number or a pair of numbers from 1 on, not "
        f"(2, 0)"
    )
    with pytest.raises(ShapeError) as error:
        pool1d(placeholder("x", (1, 2, 4, 4)), output_size=2)
    assert str(error.value) == (
        f"adaptive_{kind}_pool1d: takes sequences of shape (batch, channels, length), not "
        f"(1, 2, 4, 4)"
    )


def test_the_averaging_matrix_by_hand():
    found = ops.averaging_matrix(5, 2).numpy()
    third = np.float32(1 / 3)
    np.testing.assert_array_equal(found, [[third] * 3 + [0, 0], [0, 0] + [third] * 3])
    with pytest.raises(ShapeError) as error:
        ops.averaging_matrix(0, 2)
    assert str(error.value) == "averaging_matrix: 0 elements do not make 2 windows"
