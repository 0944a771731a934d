"""Reductions where they are hard: ties, zeros, large means, long columns, empty axes, dtypes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, ShapeError
from minidl.graph import grad, tensor

INF, NAN = math.inf, math.nan


def gradient(function, value, dtype="float64"):
    x = tensor(value, dtype)
    return grad(function(x).sum(), x, unused="zeros").numpy().tolist()


# -- sums --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1_000_000, 3), 0),
        ((1000, 1000, 3), (0, 1)),
        ((1_000_003, 2), 0),
        ((1_000_000, 1), 0),
        ((3, 1_000_000), 1),
        ((1_000_000,), 0),
        ((1000, 3, 1000), (0, 2)),
    ],
)
def test_a_million_tenths_sum_to_a_hundred_thousand(shape, axis):
    x = tensor(np.full(shape, 0.1, "float32"))
    axes = (axis,) if isinstance(axis, int) else axis
    count = math.prod(shape[i] for i in axes)
    expected = float(np.float32(0.1)) * count
    np.testing.assert_allclose(ops.sum(x, axis=axis).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(ops.mean(x, axis=axis).numpy(), 0.1, rtol=1e-5)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(700, 3, 5), (2, 3, 5000), (1, 600, 1)])
def test_sums_and_extremes_of_any_shape_are_those_of_float64(shape, axis, keepdims):
    array = np.random.default_rng(0).normal(size=shape)
    for layout in (array, np.asfortranarray(array), array[::-1]):
        x = tensor(layout.astype("float32", order="K"))
        options = {"axis": axis, "keepdims": keepdims}
        exact = x.numpy().astype("float64")
        tolerance = {"rtol": 1e-5, "atol": 1e-7 * exact.size}
        np.testing.assert_allclose(ops.sum(x, **options).numpy(), exact.sum(**options), **tolerance)
        np.testing.assert_allclose(ops.var(x, **options).numpy(), exact.var(**options), **tolerance)
        np.testing.assert_array_equal(ops.max(x, **options).numpy(), exact.max(**options))
        np.testing.assert_array_equal(ops.min(x, **options).numpy(), exact.min(**options))


def test_infinity_and_nan_stay_in_their_row_or_column():
    x = np.ones((3, 4), "float32")
    x[0, 1], x[1, 2], x[2, 3] = INF, -INF, NAN
    np.testing.assert_array_equal(ops.sum(tensor(x), axis=0).numpy(), [3.0, INF, -INF, NAN])
    np.testing.assert_array_equal(ops.sum(tensor(x), axis=1).numpy(), [INF, -INF, NAN])
    np.testing.assert_array_equal(ops.max(tensor(x), axis=1).numpy(), [INF, 1.0, NAN])


@pytest.mark.parametrize(
    ("given", "result"),
    [
        *(("bool", "int64"), ("int8", "int64"), ("int32", "int64"), ("int64", "int64")),
        *(("uint8", "uint64"), ("float16", "float16"), ("float64", "float64")),
    ],
)
def test_sums_and_products_take_the_dtype_of_the_standard(given, result):
    x = tensor(np.array([[1, 0], [1, 1]]).astype(given))
    for op in (ops.sum, ops.prod, ops.cumulative_sum):
        found = op(x, axis=1)
        assert found.dtype == result
        assert found.numpy().dtype == result
    assert ops.sum(x, axis=1).numpy().tolist() == [1, 2]
    assert ops.prod(x, axis=1).numpy().tolist() == [0, 1]
    assert ops.cumulative_sum(x, axis=1).numpy().tolist() == [[1, 1], [1, 2]]


def test_a_sum_of_small_integers_does_not_overflow():
    assert ops.sum(tensor(np.full(1000, 100, "int8"))).item() == 100_000
    assert ops.sum(tensor(np.full(1000, True))).item() == 1000


def test_a_sum_of_float16_does_not_stop_at_2048():
    for shape in ((5000,), (5000, 2)):
        x = tensor(np.ones(shape, "float16"))
        assert (ops.sum(x, axis=0).numpy() == 5000).all()
        assert (ops.mean(x, axis=0).numpy() == 1).all()


def test_the_mean_of_integers_and_booleans_is_float32():
    assert ops.mean(tensor([1, 2])).dtype == "float32"
    assert ops.mean(tensor([True, False])).item() == 0.5


def test_nothing_sums_to_0_and_multiplies_to_1():
    nothing = tensor(np.zeros((0, 2)))
    assert ops.sum(nothing, axis=0).numpy().tolist() == [0.0, 0.0]
    assert ops.prod(nothing, axis=0).numpy().tolist() == [1.0, 1.0]
    assert math.isnan(ops.mean(nothing).item())


def test_axes_are_checked():
    x = tensor([[1.0, 2.0]])
    with pytest.raises(ShapeError) as absent:
        ops.sum(x, axis=2)
    assert str(absent.value) == "sum: axis 2 is out of range for a value with 2 axes"
    with pytest.raises(ShapeError) as twice:
        ops.mean(x, axis=(1, -1))
    assert str(twice.value) == "mean: axes (1, -1) name an axis twice"


# -- variance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, None])
def test_the_variance_around_a_mean_of_1e5_is_right_in_float32(axis):
    noise = np.random.default_rng(0).normal(size=(2000, 300))
    x = (1e5 + noise).astype("float32")
    expected = x.astype("float64").var(axis=axis)
    found = ops.var(tensor(x), axis=axis).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    t = tensor(x)
    slope = grad(ops.var(t, axis=axis).sum(), t).numpy()
    double = tensor(x, "float64")
    exact = grad(ops.var(double, axis=axis).sum(), double).numpy()
    np.testing.assert_allclose(slope, exact, atol=0.02 * np.abs(exact).max())


def test_the_variance_of_equal_numbers_is_not_negative():
    columns = np.random.default_rng(0).uniform(-1e5, 1e5, 1000).astype("float32")
    x = tensor(np.tile(columns, (3001, 1)))
    found = ops.var(x, axis=0).numpy()
    assert (found >= 0).all()
    np.testing.assert_allclose(found, 0, atol=1e-3)


def test_a_correction_that_leaves_nothing_gives_nan():
    x = tensor([[1.0], [2.0]])
    assert ops.var(x, axis=1).numpy().tolist() == [0.0, 0.0]
    assert np.isnan(ops.var(x, axis=1, correction=1).numpy()).all()
    assert np.isnan(ops.var(x, axis=1, correction=2).numpy()).all()


# -- logsumexp ---------------------------------------------------------------------------------


def test_logsumexp_of_huge_numbers_is_right_in_float32():
    x = tensor([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], "float32")
    z = ops.logsumexp(x, axis=1)
    np.testing.assert_allclose(z.numpy(), [1e4 + math.log(2), -1e4 + math.log(3)], rtol=1e-7)
    slope = grad(z.sum(), x).numpy()
    np.testing.assert_allclose(slope, [[0.5, 0.5, 0.0], [1 / 3] * 3], rtol=1e-3)


def test_logsumexp_at_infinity():
    x = tensor([[-INF, -INF], [-INF, 0.0], [INF, 0.0]])
    assert ops.logsumexp(x, axis=1).numpy().tolist() == [-INF, 0.0, INF]


def test_a_row_of_minus_infinity_has_gradient_0_through_logsumexp():
    assert gradient(lambda x: ops.logsumexp(x, axis=1), [[-INF, -INF], [-INF, 0.0]]) == [
        [0.0, 0.0],
        [0.0, 1.0],
    ]


# -- products ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", [[2.0, 3.0, 5.0], [0.0, 3.0, 5.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [7.0], [2.0, 0.0]]
)
def test_the_gradient_of_a_product_is_the_product_of_the_others(row):
    others = [math.prod(row[:i] + row[i + 1 :]) for i in range(len(row))]
    assert gradient(ops.prod, row) == others


def test_the_second_derivative_of_a_product_with_zeros_is_right():
    row = [0.0, 2.0, 0.0, 3.0, 5.0]
    x = tensor(row, "float64")
    first = grad(ops.prod(x), x)
    for i in range(len(row)):
        found = grad(first[i], x, unused="zeros").numpy().tolist()
        expected = [
            0.0 if i == j else math.prod(v for k, v in enumerate(row) if k not in (i, j))
            for j in range(len(row))
        ]
        assert found == expected


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7, 8, 9, 31])
def test_the_gradient_of_a_product_of_any_length(length):
    row = np.random.default_rng(length).uniform(0.5, 1.5, size=(2, length))
    np.testing.assert_allclose(
        gradient(lambda x: ops.prod(x, axis=1), row), row.prod(1, keepdims=True) / row
    )


# -- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [ops.max, ops.min])
def test_equals_share_the_gradient_of_an_extreme(op):
    sign = 1 if op is ops.max else -1
    rows = [[1.0 * sign, 3.0 * sign, 3.0 * sign], [2.0 * sign] * 3]
    assert gradient(lambda x: op(x, axis=1), rows) == [[0.0, 0.5, 0.5], [1 / 3] * 3]


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "logsumexp"])
def test_nothing_has_no_extreme(name):
    nothing = tensor(np.zeros((0, 3)))
    with pytest.raises(ShapeError) as caught:
        getattr(ops, name)(nothing, axis=0)
    assert str(caught.value) == f"{name}: shape (0, 3) has no elements along axis 0"
    assert getattr(ops, name)(nothing, axis=1).shape == (0,)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_booleans_have_no_extreme(name):
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(tensor([True]))
    assert str(caught.value) == f"{name}: takes numbers, not bool; convert with astype"


# -- deviations, counts and quantifiers --------------------------------------------------------


def test_a_deviation_is_the_root_of_the_variance_and_has_gradient_0_among_equals():
    x = [[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]
    found = ops.std(tensor(x, "float64"), axis=1, correction=1).numpy()
    assert found.tolist() == [1.0, 0.0]
    by_x = gradient(lambda x: ops.std(x, axis=1, correction=1), x)
    assert by_x == [[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]


def test_a_deviation_far_from_0_is_right_in_float32():
    x = tensor(np.array([1e5, 1e5 + 1, 1e5 - 1], "float32"))
    assert ops.std(x, correction=1).item() == pytest.approx(1.0, rel=1e-6)


def test_a_deviation_without_freedom_is_nan():
    assert math.isnan(ops.std(tensor([1.0]), correction=1).item())


def test_counts_and_quantifiers_take_numbers_and_booleans():
    x = tensor([[0.0, 2.0, NAN], [0.0, -0.0, 0.0]])
    assert ops.count_nonzero(x, axis=1).numpy().tolist() == [2, 0]
    assert ops.any(x, axis=1).numpy().tolist() == [True, False]
    assert ops.all(x != 0, axis=0).numpy().tolist() == [False, False, False]
    assert ops.count_nonzero(tensor([True, False, True])).item() == 2
    assert ops.count_nonzero(x).dtype == "int64"
    assert ops.all(x).dtype == ops.any(x).dtype == "bool"


def test_of_nothing_all_hold_and_none_does():
    nothing = tensor(np.zeros((0, 2)))
    assert ops.all(nothing, axis=0).numpy().tolist() == [True, True]
    assert ops.any(nothing, axis=0, keepdims=True).numpy().tolist() == [[False, False]]
    assert ops.count_nonzero(nothing).item() == 0
