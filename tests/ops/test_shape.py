"""Shape ops: exact values and messages; their gradients are the shared suite's."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, ShapeError
from minidl.graph import grad, tensor

X = np.arange(12.0).reshape(3, 4)


def check_refused(error, message, call):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda x: ops.reshape(x, (2, -1)), X.reshape(2, 6)),
        (lambda x: ops.reshape(x, 12), X.reshape(12)),
        (lambda x: ops.reshape(x, np.int64(12)), X.reshape(12)),
        (lambda x: ops.broadcast_to(x, (2, 3, 4)), np.stack([X, X])),
        (lambda x: ops.expand_dims(x, axis=(0, -1)), X[None, :, :, None]),
        (lambda x: ops.squeeze(ops.expand_dims(x, axis=1), 1), X),
        (lambda x: ops.roll(x, 1), np.roll(X, 1)),
        (lambda x: ops.roll(x, (1, -9), axis=(-1, 0)), np.roll(X, (1, -9), (-1, 0))),
        (lambda x: ops.roll(x, 2, axis=(0, 1)), np.roll(X, (2, 2), (0, 1))),
        (lambda x: ops.moveaxis(x[None], 0, -1), X[..., None]),
        (lambda x: ops.moveaxis(x, (0, 1), (1, 0)), X.T),
        (lambda x: ops.broadcast_arrays(x, x[0])[1], np.broadcast_to(X[0], (3, 4))),
        (ops.flip, X[::-1, ::-1]),
        (lambda x: ops.flip(x, axis=-1), X[:, ::-1]),
        (
            lambda x: ops.pad(x, ((1, 0), (0, 2)), value=-1),
            np.pad(X, ((1, 0), (0, 2)), constant_values=-1),
        ),
        (lambda x: ops.pad(x, (0, 2)), np.pad(X, (0, 2))),
        (lambda x: ops.pad(x, 0), X),
        (lambda x: ops.tril(x, k=-1), np.tril(X, -1)),
        (lambda x: ops.triu(x, k=1), np.triu(X, 1)),
    ],
)
def test_it_arranges_as_numpy_does(made, expected):
    np.testing.assert_array_equal(made(tensor(X)).numpy(), expected)


def test_astype_truncates_and_lets_no_gradient_through_an_integer():
    x = tensor([-1.7, 1.7], "float64")
    np.testing.assert_array_equal(ops.astype(x, "int32").numpy(), [-1, 1])
    y = ops.astype(ops.astype(x, "int32"), "float64").sum()
    np.testing.assert_array_equal(grad(y, x, unused="zeros").numpy(), [0.0, 0.0])
    assert grad(ops.astype(x, "float32").sum(), x).dtype == "float64"


def test_padding_an_integer_value_needs_an_integer():
    x = tensor([1, 2])
    np.testing.assert_array_equal(ops.pad(x, 1, value=7).numpy(), [7, 1, 2, 7])
    assert ops.pad(x, 1, value=7).attributes["value"] == 7
    check_refused(
        DtypeError,
        "pad: a value of dtype int64 cannot be padded with 0.5",
        lambda: ops.pad(x, 1, value=0.5),
    )


def test_equal_calls_have_equal_attributes():
    x = tensor(X)
    first, second = ops.pad(x, 1), ops.pad(x, [(1, 1), (1, 1)], value=0)
    assert first.attributes == second.attributes
    assert ops.flip(x).attributes == ops.flip(x, axis=[-1, 0]).attributes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: ops.reshape(x, (5, -1)),
            "reshape: shape (3, 4) has 12 elements and cannot become (5, -1)",
        ),
        (
            lambda x: ops.reshape(x, (-3, -4)),
            "reshape: shape (3, 4) has 12 elements and cannot become (-3, -4)",
        ),
        (
            lambda x: ops.reshape(x, (3, 4.0)),
            "reshape: a shape is made of integers, not (3, 4.0)",
        ),
        (
            lambda x: ops.broadcast_to(x, (4, 4)),
            "broadcast_to: shapes (3, 4) and (4, 4) do not broadcast: "
            "axis -2 is 3 in one and 4 in the other",
        ),
        (
            lambda x: ops.broadcast_to(x, (4,)),
            "broadcast_to: shape (3, 4) does not broadcast to (4,)",
        ),
        (
            lambda x: ops.squeeze(x, axis=1),
            "squeeze: axis 1 of shape (3, 4) has length 4; only axes of length 1 can be removed",
        ),
        (
            lambda x: ops.squeeze(x, axis=2),
            "squeeze: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda x: ops.roll(x, (1, 2), axis=0),
            "roll: 2 shifts were given for 1 axes",
        ),
        (
            lambda x: ops.roll(x, (1, 2), axis=(0, -2)),
            "roll: axes (0, -2) name an axis twice",
        ),
        (
            lambda x: ops.moveaxis(x, (0, 1), 0),
            "moveaxis: 2 axes cannot be moved to 1 places",
        ),
        (
            lambda x: ops.moveaxis(x, 2, 0),
            "moveaxis: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda x: ops.broadcast_arrays(x, x[:2]),
            "broadcast_arrays: shapes (3, 4) and (2, 4) do not broadcast: axis -2 is 3 in one "
            "and 2 in the other",
        ),
        (
            lambda x: ops.pad(x, [(1, 1)]),
            "pad: pad_width [(1, 1)] does not give (before, after) for 2 axes",
        ),
        (
            lambda x: ops.pad(x, -1),
            "pad: pad_width -1 is negative; cut with a slice instead",
        ),
        (
            lambda x: ops.tril(x[0]),
            "tril: takes a value with at least 2 axes, not of shape (4,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    check_refused(ShapeError, message, lambda: call(tensor(X)))
