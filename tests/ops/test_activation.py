"""Activations where they are hard: kinks, tails and very large scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import grad, tensor

SCORES = [[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4], [-1e4, -1e4 + 1, -1e4 - 3]]


def test_relu_has_gradient_0_at_0():
    x = tensor([-1.0, 0.0, 2.0])
    assert ops.relu(x).numpy().tolist() == [0.0, 0.0, 2.0]
    assert grad(ops.relu(x).sum(), x).numpy().tolist() == [0.0, 0.0, 1.0]


def test_relu_passes_nan_on():
    assert math.isnan(ops.relu(tensor([math.nan])).numpy()[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_is_right_in_both_tails(dtype):
    x = tensor([-1e4, -80.0, -20.0, 0.0, 20.0, 80.0, 1e4], dtype)
    expected = [0.0, math.exp(-80), 1 / (1 + math.exp(20)), 0.5, 1 / (1 + math.exp(-20)), 1.0, 1.0]
    np.testing.assert_allclose(ops.sigmoid(x).numpy(), expected, rtol=1e-6, atol=0)
    slope = grad(ops.sigmoid(x).sum(), x).numpy()
    assert np.isfinite(slope).all()
    assert slope[3] == 0.25
    assert slope[0] == slope[-1] == 0


def test_tanh_saturates_without_nan():
    x = tensor([-1e4, 0.0, 1e4])
    assert ops.tanh(x).numpy().tolist() == [-1.0, 0.0, 1.0]
    assert grad(ops.tanh(x).sum(), x).numpy().tolist() == [0.0, 1.0, 0.0]


def test_softmax_of_huge_scores_is_right_in_float32():
    z = ops.softmax(tensor(SCORES, "float32"), axis=1).numpy()
    third = [1 / 3] * 3
    small = np.exp([0.0, 1.0, -3.0])
    expected = [[1.0, 0.0, 0.0], third, third, small / small.sum()]
    np.testing.assert_allclose(z, expected, rtol=1e-6, atol=0)


def test_log_softmax_of_huge_scores_is_right_where_softmax_is_0():
    z = ops.log_softmax(tensor(SCORES, "float32"), axis=1).numpy()
    assert z[0].tolist() == [0.0, -1e4, -2e4]
    np.testing.assert_allclose(z[1:3], -math.log(3), rtol=1e-6)


@pytest.mark.parametrize("op", [ops.softmax, ops.log_softmax])
def test_gradients_of_huge_scores_are_finite_and_right_in_float32(op):
    weights = [[1.0, 2.0, 3.0]] * 4

    def of(dtype):
        x = tensor(SCORES, dtype)
        first = grad((op(x, axis=1) * tensor(weights, dtype)).sum(), x)
        return first.numpy(), grad((first * first).sum(), x).numpy()

    for single, double in zip(of("float32"), of("float64"), strict=True):
        assert np.isfinite(single).all()
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)


def test_a_softmax_row_sums_to_1_along_any_axis():
    x = tensor(np.random.default_rng(0).normal(size=(3, 50, 7)).astype("float32"))
    for axis in (0, 1, 2, -1, -2):
        sums = ops.softmax(x, axis=axis).sum(axis=axis).numpy()
        np.testing.assert_allclose(sums, 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_an_axis_that_is_absent_or_empty_is_refused(name):
    op = getattr(ops, name)
    with pytest.raises(ShapeError) as empty:
        op(tensor(np.zeros((3, 0))), axis=1)
    assert str(empty.value) == f"{name}: shape (3, 0) has no elements along axis 1"
    with pytest.raises(ShapeError) as absent:
        op(tensor([1.0]), axis=1)
    assert str(absent.value) == f"{name}: axis 1 is out of range for a value with 1 axes"


def test_a_row_without_a_softmax_is_nan():
    for row in ([-math.inf, -math.inf], [math.inf, 0.0]):
        assert np.isnan(ops.softmax(tensor(row)).numpy()).any()
