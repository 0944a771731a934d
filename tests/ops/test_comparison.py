"""Dtypes and NaN in comparisons, and their messages."""

from __future__ import annotations

import math

import pytest

from minidl import ops
from minidl.errors import DtypeError, GradientError
from minidl.graph import grad, tensor

NAN, INF = math.nan, math.inf
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_nan_differs_from_everything_and_has_no_order(name):
    x = tensor([NAN, NAN, 1.0])
    y = tensor([NAN, 1.0, NAN])
    assert getattr(ops, name)(x, y).numpy().tolist() == [name == "not_equal"] * 3


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_is_that_of_python(name):
    symbol = {"equal": "==", "not_equal": "!=", "less": "<", "greater": ">"}
    symbol |= {"less_equal": "<=", "greater_equal": ">="}
    pairs = [(-1, 2), (2, 2), (3, 2), (INF, 2), (-INF, 2)]
    expected = [eval(f"a {symbol[name]} b", {"a": a, "b": b}) for a, b in pairs]
    found = getattr(ops, name)(*(tensor(side, "float32") for side in zip(*pairs, strict=True)))
    assert found.dtype == "bool"
    assert found.numpy().tolist() == expected


def test_integers_compare_with_numbers_of_any_kind():
    x = tensor([1, 2, 3])
    assert (x > 1.5).numpy().tolist() == [False, True, True]
    assert (x == 2).numpy().tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["less", "less_equal", "greater", "greater_equal"])
def test_booleans_have_no_order(name):
    flags = tensor([True, False])
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(flags, flags)
    assert str(caught.value) == f"{name}: takes numbers, not bool; convert with astype"


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logic_takes_booleans_alone(name):
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(tensor([1.0]), tensor([1.0]))
    wanted = "takes bool, not float32; write a comparison, such as x != 0"
    assert str(caught.value) == f"{name}: {wanted}"
    with pytest.raises(DtypeError) as caught:
        ops.logical_not(tensor([1]))
    assert str(caught.value) == (
        "logical_not: takes bool, not int64; write a comparison, such as x != 0"
    )


def test_logic_by_operators_is_its_truth_table():
    a, b = tensor([True, True, False, False]), tensor([True, False, True, False])
    assert (a & b).numpy().tolist() == [True, False, False, False]
    assert (a | b).numpy().tolist() == [True, True, True, False]
    assert (a ^ b).numpy().tolist() == [False, True, True, False]
    assert (~a).numpy().tolist() == [False, False, True, True]


def test_a_mask_lets_no_gradient_through():
    x = tensor([1.0, -1.0])
    with pytest.raises(GradientError, match="the loss does not depend on"):
        grad((x > 0).astype("float32").sum(), x)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("isfinite", [True, False, False, False, True]),
        ("isinf", [False, True, True, False, False]),
        ("isnan", [False, False, False, True, False]),
        ("signbit", [False, False, True, False, True]),
    ],
)
def test_what_kind_of_number_it_is(name, expected):
    found = getattr(ops, name)(tensor([1.0, INF, -INF, NAN, -0.0]))
    assert found.dtype == "bool"
    assert found.numpy().tolist() == expected
    assert getattr(ops, name)(tensor([3])).numpy().tolist() == [name == "isfinite"]
