"""Logarithms: exact powers, sums of powers of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.graph import grad, tensor

INF = math.inf


def test_logarithms_of_powers_of_their_base_are_whole():
    np.testing.assert_array_equal(ops.log2(tensor([0.125, 1.0, 1024.0])).numpy(), [-3, 0, 10])
    tens = tensor([1.0, 1000.0, 0.0], "float64")
    np.testing.assert_array_equal(ops.log10(tens).numpy(), [0, 3, -INF])
    assert ops.log2(tensor([8])).dtype == ops.log10(tensor([8])).dtype == "float32"


@pytest.mark.parametrize(
    ("a", "b", "expected", "share"),
    [
        (1e4, 1e4, 1e4 + math.log(2), 0.5),
        (1e4, 1e4 - 1, 1e4 + math.log1p(math.exp(-1)), 1 / (1 + math.exp(-1))),
        (-1e4, 1e4, 1e4, 0.0),
        (-INF, 2.0, 2.0, 0.0),
        (2.0, -INF, 2.0, 1.0),
        (-INF, -INF, -INF, 0.5),
        (INF, INF, INF, 0.5),
        (INF, 0.0, INF, 1.0),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_log_of_a_sum_of_powers_of_any_size(a, b, expected, share, dtype):
    inputs = tensor(a, dtype), tensor(b, dtype)
    z = ops.logaddexp(*inputs)
    by_a, by_b = (g.item() for g in grad(z, inputs))
    rtol = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(z.item(), expected, rtol=rtol)
    np.testing.assert_allclose([by_a, by_b], [share, 1 - share], rtol=rtol)


def test_the_second_derivative_of_equals_is_a_quarter():
    a, b = tensor(3.0, "float64"), tensor(3.0, "float64")
    by_a = grad(ops.logaddexp(a, b), a)
    assert [g.item() for g in grad(by_a, [a, b])] == [0.25, -0.25]
