"""What the suite over the op table does not hold: exact values, kinks, limits and messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, ShapeError
from minidl.graph import grad, tensor

INF, NAN = math.inf, math.nan


def gradient(function, *values, dtype="float64"):
    """Return the gradient of the sum of ``function`` by each of ``values``."""
    inputs = [tensor(value, dtype) for value in values]
    found = grad(function(*inputs).sum(), inputs, unused="zeros")
    return [each.numpy().tolist() for each in found]


def second(function, value):
    x = tensor(value, "float64")
    first = grad(function(x).sum(), x)
    return grad(first.sum(), x, unused="zeros").numpy().tolist()


def test_integers_are_divided_as_float32():
    quotient = tensor([1, 2, 3]) / 2
    assert quotient.dtype == "float32"
    assert quotient.numpy().tolist() == [0.5, 1.0, 1.5]


def test_exponentials_and_logarithms_of_integers_are_float32():
    for name in (
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "reciprocal",
        "sin",
        "cos",
        "erf",
        "sigmoid",
        "tanh",
    ):
        assert getattr(ops, name)(tensor([1, 2])).dtype == "float32", name


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "pow", "maximum"])
def test_arithmetic_refuses_booleans(name):
    flags = tensor([True, False])
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(flags, flags)
    wanted = "takes numbers, not bool; convert with astype, or use logical_and …"
    assert str(caught.value) == f"{name}: {wanted}"


@pytest.mark.parametrize("name", ["negative", "positive", "abs", "square", "sign"])
def test_functions_of_one_number_refuse_booleans(name):
    with pytest.raises(DtypeError) as caught:
        getattr(ops, name)(tensor([True]))
    wanted = "takes numbers, not bool; convert with astype, or use logical_not"
    assert str(caught.value) == f"{name}: {wanted}"


def test_a_mismatch_names_both_shapes_and_the_axis():
    with pytest.raises(ShapeError) as caught:
        ops.add(tensor([[1.0, 2.0, 3.0]]), tensor([1.0, 2.0]))
    assert str(caught.value) == (
        "add: shapes (1, 3) and (2,) do not broadcast: axis -1 is 3 in one and 2 in the other"
    )


# -- kinks -------------------------------------------------------------------------------------


def test_abs_has_gradient_0_at_0():
    assert gradient(ops.abs, [-2.0, 0.0, 3.0]) == [[-1.0, 0.0, 1.0]]


def test_sign_has_gradient_0_everywhere():
    assert gradient(ops.sign, [-2.0, 0.0, 3.0]) == [[0.0, 0.0, 0.0]]


def test_the_second_derivative_of_abs_is_0():
    assert second(ops.abs, [-2.0, 0.0, 3.0]) == [0.0, 0.0, 0.0]


def test_copysign_takes_the_sign_of_a_zero_too_and_has_gradient_0_at_0():
    a, b = [-2.0, -2.0, 3.0, 0.0], [1.0, 0.0, -0.0, -1.0]
    found = ops.copysign(tensor(a), tensor(b)).numpy()
    assert found.tolist() == [2.0, 2.0, -3.0, 0.0]
    assert np.signbit(found).tolist() == [False, False, True, True]
    assert gradient(ops.copysign, a, b) == [[-1.0, -1.0, -1.0, 0.0], [0.0] * 4]


@pytest.mark.parametrize(
    ("op", "of_a", "of_b"),
    [
        (ops.maximum, [0.0, 0.5, 1.0], [1.0, 0.5, 0.0]),
        (ops.minimum, [1.0, 0.5, 0.0], [0.0, 0.5, 1.0]),
    ],
)
def test_equals_share_the_gradient_of_maximum_and_minimum(op, of_a, of_b):
    assert gradient(op, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == [of_a, of_b]


def test_a_value_against_itself_receives_the_whole_gradient_of_maximum():
    assert gradient(lambda x: ops.maximum(x, x), [1.0, -1.0]) == [[1.0, 1.0]]


def test_maximum_and_minimum_take_infinities_and_pass_nan_on():
    a, b = tensor([INF, -INF, NAN, 1.0]), tensor([1.0, 1.0, 1.0, NAN])
    np.testing.assert_array_equal(ops.maximum(a, b).numpy(), [INF, 1.0, NAN, NAN])
    np.testing.assert_array_equal(ops.minimum(a, b).numpy(), [1.0, -INF, NAN, NAN])


def test_clip_has_gradient_1_at_its_bounds_and_0_beyond():
    found = gradient(lambda x: ops.clip(x, -1, 1), [-2.0, -1.0, 0.5, 1.0, 2.0])
    assert found == [[0.0, 1.0, 1.0, 1.0, 0.0]]


def test_clip_passes_nan_on():
    np.testing.assert_array_equal(ops.clip(tensor([NAN, INF]), 0, 1).numpy(), [NAN, 1.0])


def test_clip_of_integers_keeps_their_dtype_and_limits():
    x = tensor([-128, 5, 127], "int8")
    assert ops.clip(x, max=100).numpy().tolist() == [-128, 5, 100]
    assert ops.clip(x, max=100).dtype == "int8"
    assert ops.clip(tensor([0, 255], "uint8"), min=3).numpy().tolist() == [3, 255]


def test_clip_refuses_bounds_that_make_no_sense():
    x = tensor([1, 2])
    with pytest.raises(ShapeError) as exchanged:
        ops.clip(x, 2, 1)
    assert str(exchanged.value) == "clip: min (2) is greater than max (1); exchange them"
    with pytest.raises(DtypeError) as fraction:
        ops.clip(x, min=0.5)
    assert str(fraction.value) == "clip: min=0.5 is no int64; convert x to a float dtype"
    with pytest.raises(DtypeError) as of_tensor:
        ops.clip(x, min=tensor(1))
    assert str(of_tensor.value) == (
        "clip: min is a Tensor; give a number, or use maximum and minimum"
    )


# -- pow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exponent", "first", "then"),
    [
        (0, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        (1, [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
        (2, [-4.0, 0.0, 6.0], [2.0, 2.0, 2.0]),
        (3, [12.0, 0.0, 27.0], [-12.0, 0.0, 18.0]),
    ],
)
def test_the_gradient_of_a_power_is_right_at_0_and_below(exponent, first, then):
    value = [-2.0, 0.0, 3.0]
    x = tensor(value, "float64")
    assert grad((x**exponent).sum(), x).numpy().tolist() == first
    by_tensor = gradient(lambda a: a ** tensor([float(exponent)] * 3, "float64"), value)
    assert by_tensor == [first]
    if exponent > 1:
        assert second(lambda a: a**exponent, value) == then


def test_the_gradient_by_an_exponent_where_the_base_is_0_or_less():
    base, exponent = (
        tensor([0.0, 0.0, -1.0, 0.0], "float64"),
        tensor([2.0, 0.0, 2.0, -1.0], "float64"),
    )
    np.testing.assert_array_equal(
        grad((base**exponent).sum(), exponent).numpy(), [0.0, 0.0, NAN, NAN]
    )


@pytest.mark.parametrize("exponent", [2, 3, 4])
def test_small_whole_powers_agree_with_repeated_products(exponent):
    x = np.linspace(-3, 3, 101, dtype="float32")
    found = (tensor(x) ** exponent).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.float64(x) ** exponent, rtol=2e-7)


def test_a_number_in_the_exponent_keeps_the_dtype_of_a_float():
    assert (tensor([1.0], "float16") ** 2.0).dtype == "float16"
    assert (tensor([3]) ** 2).dtype == "int64"


# -- where -------------------------------------------------------------------------------------


def test_where_keeps_nan_out_of_the_gradient_it_does_not_choose():
    x = tensor([0.0, 4.0], "float64")
    safe = ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1)), 0)
    assert grad(safe.sum(), x).numpy().tolist() == [0.0, 0.25]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int16", "bool"])
@pytest.mark.parametrize("shape", [(3,), (2, 100)])
def test_where_chooses_bits_unchanged(dtype, shape):
    rng = np.random.default_rng(0)
    condition = rng.random(shape) < 0.5
    x, y = (rng.integers(-3, 4, shape).astype(dtype) for _ in range(2))
    if dtype.startswith("float"):
        x.flat[:3], y.flat[:3] = (-0.0, INF, NAN), (NAN, -INF, 0.0)
    for a, b in ((x, y), (x, np.zeros((), dtype)), (np.zeros((), dtype), y), (x, y[..., :1])):
        found = ops.where(tensor(condition), tensor(a), tensor(b)).numpy()
        expected = np.where(condition, a, b)
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


def test_where_refuses_a_condition_that_is_none():
    with pytest.raises(DtypeError) as caught:
        ops.where(tensor([1, 0]), 1.0, 2.0)
    assert str(caught.value) == (
        "where: the condition is int64, not bool; write a comparison, such as x != 0"
    )


# -- erf ---------------------------------------------------------------------------------------

POINTS = np.concatenate([np.linspace(-7, 7, 2003), np.logspace(-30, 0, 200), [0.46875, 4.0]])


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float64", 1e-15), ("float32", 5e-7), ("float16", 2e-3)]
)
def test_erf_is_that_of_the_c_library(dtype, rtol):
    points = POINTS[np.abs(POINTS) > 1e-4] if dtype == "float16" else POINTS
    x = points.astype(dtype)
    expected = np.array([math.erf(value) for value in x])
    found = ops.erf(tensor(x)).numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=rtol)
    assert np.abs(found).max() <= 1


def test_erf_of_0_infinity_and_nan():
    for dtype in ("float32", "float64"):
        found = ops.erf(tensor([0.0, INF, -INF, NAN], dtype)).numpy()
        np.testing.assert_array_equal(found, [0.0, 1.0, -1.0, NAN])


def test_expm1_and_log1p_keep_the_digits_of_small_numbers():
    x = tensor([1e-10, -1e-10], "float64")
    np.testing.assert_allclose(ops.expm1(x).numpy(), [1e-10, -1e-10], rtol=1e-9)
    np.testing.assert_allclose(ops.log1p(x).numpy(), [1e-10, -1e-10], rtol=1e-9)
