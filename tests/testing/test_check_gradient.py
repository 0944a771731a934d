"""check_gradient on functions of tensors, right and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import CheckError
from minidl.graph import Draw, Spec, op, sample
from minidl.registry import forget
from minidl.testing import check_gradient, draw
from minidl.testing.differences import derivative


def test_a_right_function_passes_far_below_the_tolerance():
    report = check_gradient(lambda a, b: ops.exp(a * b).sum(axis=0), [(3, 2), (2,)])
    assert report.subject == "function"
    for name in ("x0", "x1"):
        assert report.by_name()[f"the gradient by '{name}'"].error < 1e-9
        assert report.by_name()[f"the second derivative by '{name}'"].error < 1e-7


def test_several_outputs_and_integer_inputs_are_taken():
    def function(x, i):
        return [x * 2.0, ops.exp(x), i + 1]

    report = check_gradient(function, [Draw((3,)), Spec((3,), "int64")], names=["x", "i"])
    assert "the gradient by 'x'" in report.by_name()
    assert "the gradient by 'i'" not in report.by_name()


@pytest.fixture
def faulty_square():
    @op("faulty_square", samples=[sample((2,))])
    class faulty_square:
        """z = x²"""

        def infer(x, /):
            return x

        def forward(xp, x):
            return x * x

        def backward(g, z, x):
            return g * x * 2.002

    yield faulty_square
    forget("op", "faulty_square")


def test_a_fault_deep_inside_a_function_is_refused(faulty_square):
    with pytest.raises(CheckError) as caught:
        check_gradient(
            lambda x: ops.exp(faulty_square(x)),
            [np.array([[0.5, 1.0]])],
            names=["x"],
            subject="my function",
        )
    message = str(caught.value)
    assert message.startswith("my function: the gradient by 'x' is wrong at [0, ")
    assert message.endswith("(relative error 0.001, allowed 1e-06)")


def test_a_looser_tolerance_lets_it_pass(faulty_square):
    inputs = [np.array([0.5, 1.0])]
    check_gradient(faulty_square, inputs, rtol=1e-2, second_order=False)


def test_a_kink_next_to_a_point_does_not_disturb_it():
    check_gradient(ops.relu, [np.array([1e-3, -1e-3, 2e-4])])


def test_ops_without_gradient_are_named():
    def function(x):
        return ops.astype(x > 0.0, "float64") * x

    check_gradient(function, [np.array([0.5, -0.5])])


def test_it_runs_on_the_current_backend():
    with use_backend("array_api_strict"):
        check_gradient(lambda x: ops.exp(x).sum(), [(2, 3)])


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda t: np.exp(np.array([t])), 1.0),
        (lambda t: np.sin(30 * np.array([t])), 30.0),
        (lambda t: np.log(np.array([1e-3 + t])), 1000.0),
        (lambda t: np.abs(np.array([1e-4 + t])), 1.0),
        (lambda t: 1e6 + np.array([t]), 1.0),
    ],
)
def test_numerical_derivatives_are_precise_near_kinks_and_poles(function, slope):
    found = derivative(function, lambda value: 1e-8 * np.abs(value))
    assert abs(found.value[0] - slope) < 1e-7 * slope
    assert abs(found.value[0] - slope) <= 10 * found.error[0] + 1e-9 * slope


def test_a_derivative_that_does_not_settle_says_so():
    noise = np.random.default_rng(0)
    found = derivative(lambda t: noise.normal(size=1), np.abs)
    assert found.error[0] > 0.01


# -- draws -----------------------------------------------------------------------------------


def rng():
    return np.random.default_rng(3)


def test_draws_keep_away_from_kinks():
    values = draw(Draw((1000,), -1.0, 1.0, kinks=(0.0, 0.5)), rng())
    assert values.dtype == np.float64
    assert np.abs(values).min() >= 0.05
    assert np.abs(values - 0.5).min() >= 0.05
    assert -1 <= values.min() < -0.9
    assert 0.9 < values.max() < 1


def test_distinct_draws_keep_away_from_each_other_and_from_kinks():
    values = np.sort(draw(Draw((4, 25), -2.0, 2.0, distinct=True), rng()).ravel())
    assert np.diff(values).min() > 0.01
    both = draw(Draw((20,), -1.0, 1.0, kinks=(0.0,), distinct=True), rng())
    assert np.abs(both).min() >= 0.05
    assert np.diff(np.sort(both)).min() > 0.005


def test_a_draw_with_no_room_between_kinks_is_refused():
    with pytest.raises(CheckError, match="leaves no room between its kinks"):
        draw(Draw((3,), -0.01, 0.01, kinks=(0.0,)), rng())


def test_integers_and_booleans_are_drawn_as_declared():
    values = draw(Draw((200,), 2, 5, "int32"), rng())
    assert values.dtype == np.int32
    assert set(values.tolist()) == {2, 3, 4}
    assert set(draw(Spec((50,), "int64"), rng()).tolist()) == {0, 1}
    assert set(draw(Draw((50,), dtype="bool"), rng()).tolist()) == {True, False}


def test_shapes_arrays_and_lists_are_taken_as_inputs():
    assert draw((2, 3), rng()).shape == (2, 3)
    given = np.arange(3.0)
    taken = draw(given, rng())
    np.testing.assert_array_equal(taken, given)
    assert taken is not given
    assert draw([[1.5]], rng()).dtype == np.float64
