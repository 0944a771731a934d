"""Rounding: dtypes, halves, signs and jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError
from minidl.graph import grad, tensor

JUMPS = [-2.5, -2.0, -1.5, -0.5, 0.0, 0.5, 1.5, 2.0, 2.5]
ROUNDINGS = ["floor", "ceil", "trunc", "round"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("floor", [-3, -2, -2, -1, 0, 0, 1, 2, 2]),
        ("ceil", [-2, -2, -1, 0, 0, 1, 2, 2, 3]),
        ("trunc", [-2, -2, -1, 0, 0, 0, 1, 2, 2]),
        ("round", [-2, -2, -2, 0, 0, 0, 2, 2, 2]),
    ],
)
def test_halves_and_whole_numbers_are_rounded_by_the_standard(name, expected):
    x = tensor(JUMPS)
    found = getattr(ops, name)(x)
    assert found.dtype == "float32"
    assert found.numpy().tolist() == expected
    assert grad(found.sum(), x).numpy().tolist() == [0.0] * len(JUMPS)


@pytest.mark.parametrize("name", ROUNDINGS)
def test_integers_stay_as_they_are(name):
    found = getattr(ops, name)(tensor([-3, 0, 7], "int8"))
    assert found.dtype == "int8"
    assert found.numpy().tolist() == [-3, 0, 7]


@pytest.mark.parametrize("name", ROUNDINGS)
def test_booleans_are_refused(name):
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(tensor([True]))
    wanted = "takes numbers, not bool; convert with astype, or use logical_not"
    assert str(caught.value) == f"{name}: {wanted}"


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_quotient_and_remainder_are_those_of_python(dtype):
    pairs = [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3), (0, 5)]
    a, b = (tensor(list(side), dtype) for side in zip(*pairs, strict=True))
    assert (a // b).numpy().tolist() == [x // y for x, y in pairs]
    assert (a % b).numpy().tolist() == [x % y for x, y in pairs]
    assert (a // b).dtype == (a % b).dtype == dtype


def test_the_gradient_of_a_remainder_at_its_jumps_is_that_of_the_side_where_it_is_0():
    a, b = tensor([6.0, -6.0], "float64"), tensor([3.0, 3.0], "float64")
    by_a, by_b = grad((a % b).sum(), [a, b])
    assert by_a.numpy().tolist() == [1.0, 1.0]
    assert by_b.numpy().tolist() == [-2.0, 2.0]


def test_a_quotient_has_gradient_0_and_a_remainder_by_0_is_nan():
    a, b = tensor([7.0]), tensor([2.0])
    assert [g.item() for g in grad((a // b).sum(), [a, b])] == [0.0, 0.0]
    assert math.isnan((a % 0.0).item())
    np.testing.assert_array_equal((7.5 % tensor([2.0, 4.0])).numpy(), [1.5, 3.5])
    np.testing.assert_array_equal((7 // tensor([2, 4])).numpy(), [3, 1])
