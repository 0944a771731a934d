"""The op: its values against another definition of B-splines, its gradients, its errors."""

from __future__ import annotations

import math

import minidl as md
import numpy as np
import pytest
from minidl.errors import GraphError
from minidl.testing import check_op

from minidl_kan.ops import bspline_basis


def truncated_powers(u, degree):
    """The B-spline on the knots 0 … degree + 1, as a sum of truncated powers."""
    terms = [
        (-1) ** k * math.comb(degree + 1, k) * np.where(u >= k, (u - k) ** degree, 0.0)
        for k in range(degree + 2)
    ]
    return sum(terms) / math.factorial(degree)


def test_the_op_passes_the_checks_that_built_ins_pass():
    check_op(bspline_basis)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_values_are_those_of_truncated_powers(degree):
    x = np.linspace(-1.9, 1.9, 39)
    found = bspline_basis(x, start=-1.5, step=0.3, count=6, degree=degree).numpy()
    u = (x + 1.5) / 0.3
    expected = np.stack([truncated_powers(u - i, degree) for i in range(6)], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_a_cubic_is_one_sixth_two_thirds_one_sixth_at_its_inner_knots():
    x = np.array([1.0, 2.0, 3.0])
    values = bspline_basis(x, start=0.0, step=1.0, count=1).numpy()[:, 0]
    np.testing.assert_allclose(values, [1 / 6, 2 / 3, 1 / 6], rtol=1e-15)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_they_sum_to_one_on_the_grid(degree):
    x = np.linspace(0.0, 1.0, 50, endpoint=False)
    start, step, count = -degree * 0.25, 0.25, 4 + degree
    basis = bspline_basis(x, start=start, step=step, count=count, degree=degree)
    np.testing.assert_allclose(basis.sum(axis=-1).numpy(), 1.0, rtol=1e-13)


@pytest.mark.parametrize("outside", [-0.01, 5.01, 1e4, -1e4])
def test_value_and_gradient_are_zero_outside_the_knots(outside):
    x = md.tensor([outside])
    basis = bspline_basis(x, start=0.0, step=1.0, count=2)
    assert basis.numpy().tolist() == [[0.0, 0.0]]
    assert md.grad(basis.sum(), x).numpy().tolist() == [0.0]


def test_at_a_knot_the_gradient_is_the_one_from_the_right():
    x = md.tensor([0.0, 1.0, 2.0])
    hat = bspline_basis(x, start=0.0, step=1.0, count=1, degree=1)
    assert md.grad(hat.sum(), x).numpy().tolist() == [1.0, -1.0, 0.0]


def test_it_can_be_differentiated_until_nothing_is_left():
    x = md.tensor([0.5, 1.5, 2.5, 3.5], dtype="float64")
    third = bspline_basis(x, start=0.0, step=1.0, count=1)
    for _ in range(3):
        third = md.grad(third.sum(), x)
    np.testing.assert_allclose(third.numpy(), [1.0, -3.0, 3.0, -1.0], rtol=1e-12)
    assert md.grad(third.sum(), x).numpy().tolist() == [0.0] * 4


def test_integers_become_floats():
    assert bspline_basis(md.tensor([1, 2]), start=0.0, step=1.0, count=1).dtype == "float32"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"step": 0.0, "count": 3},
            "bspline_basis: step must be greater than 0, not 0.0",
        ),
        (
            {"step": 1.0, "count": 0},
            "bspline_basis: count must be at least 1 and degree at least 0, not 0 and 3",
        ),
        (
            {"step": 1.0, "count": 3, "degree": -1},
            "bspline_basis: count must be at least 1 and degree at least 0, not 3 and -1",
        ),
    ],
)
def test_attributes_out_of_range_are_refused(attributes, message):
    with pytest.raises(GraphError) as error:
        bspline_basis(md.tensor([0.5]), start=0.0, **attributes)
    assert str(error.value) == message
