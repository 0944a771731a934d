"""Joining, cutting and repeating: exact values and messages."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import grad, tensor

X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda x: ops.concat(x, x, axis=1), np.concatenate([X, X], 1)),
        (lambda x: ops.concat([x, x]), np.concatenate([X, X])),
        (lambda x: ops.stack([x, x], axis=-1), np.stack([X, X], -1)),
        (lambda x: ops.split(x, 2, axis=1)[1], X[:, 2:]),
        (lambda x: ops.split(x, [1, 0, 2])[2], X[1:]),
        (lambda x: ops.split(x, [1, 0, 2])[1], X[1:1]),
        (lambda x: ops.unstack(x)[2], X[2]),
        (lambda x: ops.unstack(x, axis=-1)[3], X[:, 3]),
        (lambda x: ops.tile(x, 2), np.tile(X, 2)),
        (lambda x: ops.tile(x, (2, 1, 3)), np.tile(X, (2, 1, 3))),
        (lambda x: ops.tile(x[0], (2, 2)), np.tile(X[0], (2, 2))),
        (lambda x: ops.repeat(x, 2), np.repeat(X, 2)),
        (lambda x: ops.repeat(x, 3, axis=-1), np.repeat(X, 3, -1)),
        (lambda x: ops.repeat(x, [2, 0, 1], axis=0), np.repeat(X, [2, 0, 1], 0)),
        (lambda x: ops.repeat(x, [0, 0, 0], axis=0), np.repeat(X, [0, 0, 0], 0)),
    ],
)
def test_it_joins_and_cuts_as_numpy_does(made, expected):
    np.testing.assert_array_equal(made(tensor(X)).numpy(), expected)


def test_concat_takes_the_common_dtype():
    joined = ops.concat(tensor([1.5], "float64"), tensor([2], "int32"))
    assert joined.dtype == "float64"
    np.testing.assert_array_equal(joined.numpy(), [1.5, 2.0])


def test_split_and_concat_undo_each_other():
    parts = ops.split(tensor(X), (1, 3), axis=1)
    assert [part.shape for part in parts] == [(3, 1), (3, 3)]
    np.testing.assert_array_equal(ops.concat(parts, axis=1).numpy(), X)


def test_every_copy_adds_to_the_gradient():
    x = tensor([1.0, 2.0], "float64")
    weights = tensor([1.0, 10.0, 100.0, 1000.0], "float64")
    assert grad((ops.tile(x, 2) * weights).sum(), x).numpy().tolist() == [101.0, 1010.0]
    assert grad((ops.repeat(x, 2) * weights).sum(), x).numpy().tolist() == [11.0, 1100.0]
    assert grad((ops.repeat(x, [1, 3]) * weights).sum(), x).numpy().tolist() == [1.0, 1110.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: ops.concat(x, x[:, 1:]),
            "concat: shapes (3, 4) and (3, 3) differ in more than axis 0, "
            "along which they are joined",
        ),
        (lambda x: ops.concat([]), "concat: there is nothing to join"),
        (
            lambda x: ops.stack([x, x[0]]),
            "stack: takes values of one shape, not (3, 4), (4,)",
        ),
        (
            lambda x: ops.split(x, 2),
            "split: axis 0 of length 3 cannot be cut into 2 equal parts; "
            "give the length of each part",
        ),
        (
            lambda x: ops.split(x, (1, 4), axis=1),
            "split: parts of lengths [1, 4] do not make up axis 1 of length 4",
        ),
        (
            lambda x: ops.split(x, 2, axis=2),
            "split: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda x: ops.unstack(x, axis=2),
            "unstack: axis 2 is out of range for a value with 2 axes",
        ),
        (lambda x: ops.tile(x, (2, -1)), "tile: nothing can be repeated -1 times"),
        (lambda x: ops.repeat(x, -2), "repeat: nothing can be repeated -2 times"),
        (
            lambda x: ops.repeat(x, [1, 2], axis=0),
            "repeat: 2 repeats were given for axis 0 of length 3",
        ),
        (
            lambda x: ops.repeat(x, 2, axis=2),
            "repeat: axis 2 is out of range for a value with 2 axes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ShapeError) as caught:
        call(tensor(X))
    assert str(caught.value) == message
