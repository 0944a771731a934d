"""Angles and hyperbolas: kinks, and numbers whose squares overflow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.graph import grad, tensor

INF, NAN = math.inf, math.nan


def gradient(function, *values, dtype="float64"):
    inputs = [tensor(value, dtype) for value in values]
    return [each.numpy().tolist() for each in grad(function(*inputs).sum(), inputs)]


def test_integers_are_computed_as_float32():
    for name in ("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"):
        assert getattr(ops, name)(tensor([1])).dtype == "float32", name
    for name in ("atan2", "hypot"):
        assert getattr(ops, name)(tensor([1]), tensor([2])).dtype == "float32", name


@pytest.mark.parametrize("name", ["asin", "acos", "acosh", "atanh"])
def test_beyond_the_domain_is_nan_and_its_end_has_an_infinite_gradient(name):
    beyond = 0.5 if name == "acosh" else 2.0
    assert math.isnan(getattr(ops, name)(tensor(beyond)).item())
    sign = -1.0 if name == "acos" else 1.0
    assert gradient(getattr(ops, name), [1.0]) == [[sign * INF]]


def test_atan2_knows_the_quadrant():
    y, x = [1.0, 1.0, -1.0, -1.0, 0.0], [1.0, -1.0, -1.0, 1.0, -1.0]
    found = ops.atan2(tensor(y, "float64"), tensor(x, "float64")).numpy()
    np.testing.assert_allclose(found, np.pi * np.array([0.25, 0.75, -0.75, -0.25, 1.0]))


@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_the_gradient_at_the_origin_is_0(name):
    assert gradient(getattr(ops, name), [0.0], [0.0]) == [[0.0], [0.0]]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_no_square_overflows_in_float32(size):
    a, b = [3.0 * size], [4.0 * size]
    np.testing.assert_allclose(ops.hypot(tensor(a), tensor(b)).numpy(), [5.0 * size], rtol=1e-6)
    of_hypot = gradient(ops.hypot, a, b, dtype="float32")
    np.testing.assert_allclose(of_hypot, [[0.6], [0.8]], rtol=1e-6)
    of_angle = np.array(gradient(ops.atan2, a, b, dtype="float32"))
    np.testing.assert_allclose(of_angle * size, [[0.16], [-0.12]], rtol=1e-6)
    np.testing.assert_allclose(
        gradient(ops.asinh, a, dtype="float32"), [[1 / math.hypot(1, 3 * size)]], rtol=1e-6
    )
    if size > 1:
        found = gradient(ops.acosh, a, dtype="float32")
        np.testing.assert_allclose(found, [[1 / (3 * size)]], rtol=1e-6)
