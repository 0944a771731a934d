"""Compiled functions: the same results, traced once for each set of shapes and dtypes."""

import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.errors import GraphError


def affine_loss(x, w, b):
    y = ops.tanh(x @ w.T + b)
    loss = (y * y).sum()
    return {"loss": loss, "gradients": md.grad(loss, [w, b])}


def arguments(rows, dtype="float32"):
    rng = np.random.default_rng(rows)
    return [rng.normal(size=shape).astype(dtype) for shape in ((rows, 3), (4, 3), (4,))]


def test_a_compiled_function_returns_what_the_function_returns():
    given = arguments(5)
    expected = affine_loss(*map(md.tensor, given))
    got = md.compile(affine_loss)(*given)
    np.testing.assert_array_equal(got["loss"].numpy(), expected["loss"].numpy())
    for mine, theirs in zip(got["gradients"], expected["gradients"], strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_it_is_traced_once_for_each_set_of_shapes_and_dtypes():
    calls = []

    @md.compile
    def double(x):
        calls.append(x.spec)
        return x + x

    for rows in (2, 3, 2, 3):
        double(np.ones((rows,), dtype="float32"))
    double(np.ones((2,), dtype="float64"))
    assert [tuple(spec) for spec in calls] == [
        ((2,), "float32"),
        ((3,), "float32"),
        ((2,), "float64"),
    ]
    assert double.programs == 3


def test_a_second_call_does_not_change_the_result_of_the_first():
    double = md.compile(lambda x: x * 2.0)
    first = double(np.ones(4, dtype="float32"))
    double(np.full(4, 5.0, dtype="float32"))
    np.testing.assert_array_equal(first.numpy(), np.full(4, 2.0))


def test_an_argument_that_is_returned_is_not_the_callers_array():
    given = np.ones(3, dtype="float32")
    (same,) = md.compile(lambda x: [x])(given)
    given[:] = 7
    np.testing.assert_array_equal(same.numpy(), np.ones(3))


def test_keyword_arguments_are_options_that_a_program_is_cached_by():
    scale = md.compile(lambda x, *, factor: x * factor)
    ones = np.ones(2, dtype="float32")
    assert scale(ones, factor=2.0).numpy().tolist() == [2.0, 2.0]
    assert scale(ones, factor=3.0).numpy().tolist() == [3.0, 3.0]
    assert scale.programs == 2


def test_asking_for_a_value_while_traced_is_an_error_that_names_the_placeholder():
    @md.compile
    def peek(x):
        return x * 2.0 if x.sum() > 0 else x

    with pytest.raises(GraphError, match=r"placeholder 'x0' float32\[2\] has no value here"):
        peek(np.ones(2, dtype="float32"))


def test_an_option_given_by_position_is_an_error():
    identity = md.compile(lambda x, mode: x)
    with pytest.raises(GraphError) as caught:
        identity(np.ones(2), "fast")
    assert str(caught.value) == (
        "a compiled function takes tensors, arrays and numbers by position, not str; "
        "give other options by keyword"
    )


def test_a_compiled_function_keeps_its_name_and_documentation():
    compiled = md.compile(affine_loss)
    assert compiled.__name__ == "affine_loss"


def test_a_float_by_position_is_as_exact_as_the_arrays_it_stands_among():
    given = np.array([1.0, 2.0, 3.0])
    scale = md.compile(lambda x, factor: x * factor)
    np.testing.assert_array_equal(scale(given, 0.1).numpy(), given * 0.1)
    assert scale(given.astype("float32"), 0.1).dtype == "float32"
    assert scale(given, 0.2).dtype == "float64"
    assert scale.programs == 2


def test_tensors_and_arrays_by_keyword_are_inputs():
    calls = []

    @md.compile
    def add(x, *, other):
        calls.append(x)
        return x + other

    ones = np.ones(2, dtype="float32")
    for other in (ones, md.tensor(ones * 2.0), ones * 3.0):
        expected = ones + np.asarray(other)
        np.testing.assert_array_equal(add(ones, other=other).numpy(), expected)
    assert len(calls) == 1


def test_options_may_be_lists_and_are_told_apart_by_type():
    total = md.compile(lambda x, axes, one: ops.sum(x, axis=axes) * one)
    ones = np.ones((2, 3), dtype="int64")
    assert total(ones, axes=[0, 1], one=1).dtype == "int64"
    assert total(ones, axes=[0, 1], one=1.0).dtype == "float32"
    assert total(ones, axes=[1], one=1).numpy().tolist() == [3, 3]
    with pytest.raises(GraphError) as caught:
        total(ones, axes={0, 1}, one=1)
    assert str(caught.value) == (
        "an option of a compiled function must be hashable, and set is not"
    )


def test_a_compiled_function_within_another_becomes_part_of_it():
    double = md.compile(lambda x: x * 2.0)
    outer = md.compile(lambda x: md.grad((double(x) * x).sum(), x))
    np.testing.assert_array_equal(outer(np.ones(3)).numpy(), np.full(3, 4.0))
    assert (outer.programs, double.programs) == (1, 0)


def test_a_compiled_function_may_call_itself():
    @md.compile
    def power(x, *, n):
        return x if n == 1 else power(x, n=n - 1) * x

    np.testing.assert_array_equal(power(np.full(2, 3.0), n=4).numpy(), np.full(2, 81.0))
