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
