"""Column notation: every column form is the transpose of the row it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.explain.columns import Columns, fits_columns
from minidl.graph import Program, placeholder, tensor
from minidl.graph.expression import Notation
from minidl.graph.text import text

RNG = np.random.default_rng(5)
X = RNG.normal(size=(1, 3))
W = RNG.normal(size=(2, 3))
B = RNG.normal(size=2)

FUNCTIONS = {
    "affine map": lambda x, w, b: x @ w.T + b,
    "elementwise of a row and a vector": lambda x, w, b: ops.tanh(x @ w.T) * b,
    "matrix from two rows": lambda x, w, b: b.reshape(2, 1) @ x,
    "transposed product": lambda x, w, b: (x.T @ (x @ w.T)).T,
    "sum of transposed products": lambda x, w, b: (w.T * 2.0 + x.T @ (x @ w.T)).T,
    "sum over the sample": lambda x, w, b: (x * x).sum(axis=0),
    "sum over features": lambda x, w, b: x * (x * x).sum(axis=1, keepdims=True),
    "sum over features, without the axis": lambda x, w, b: x * (x * x).sum(axis=1),
    "sum over all": lambda x, w, b: (w * w).sum() * b,
    "sums over one axis of a matrix": lambda x, w, b: w.sum(axis=0) * x,
    "sums kept as an axis": lambda x, w, b: w - w.mean(axis=1, keepdims=True),
    "sums over the other axis": lambda x, w, b: w.max(axis=1) + b,
    "softmax of a row": lambda x, w, b: ops.softmax(x @ w.T, axis=-1),
    "softmax of a matrix": lambda x, w, b: ops.softmax(w, axis=0),
    "function of a function of rows": lambda x, w, b: ops.log_softmax(ops.softmax(x, axis=1)),
    "reshapes between vectors": lambda x, w, b: x.reshape(3).reshape(3, 1).reshape(1, 3) * 2.0,
    "a reshaped matrix": lambda x, w, b: w.reshape(3, 2) @ b.reshape(2, 1),
    "broadcast": lambda x, w, b: ops.broadcast_to(b, (2, 2)) * ops.broadcast_to(x.sum(), (2, 2)),
    "constants": lambda x, w, b: x * tensor(X) + tensor(X[0]),
    "permuted axes": lambda x, w, b: ops.permute_dims(w, (1, 0)) @ b.reshape(2, 1),
    "vector times matrix": lambda x, w, b: b @ w,
    "a slice": lambda x, w, b: x[:, 1:],
    "conversion": lambda x, w, b: x.astype("float32").astype("float64") * (x > 0),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_column_form_is_the_transpose(function):
    x, w, b = (placeholder(n, a.shape, "float64") for n, a in (("x", X), ("w", W), ("b", B)))
    result = function(x, w, b)
    (expected,) = Program([x, w, b], [result])([X, W, B])
    columns = Columns([result], {id(x)})
    pairs = [(columns.leaves[id(n)], a) for n, a in ((x, X), (w, W), (b, B)) if columns.knows(n)]
    program = Program([leaf for leaf, _ in pairs], [columns.column(result)])
    (found,) = program([array.reshape(leaf.shape) for leaf, array in pairs])
    transposed = np.reshape(expected, (1, -1)).T if result.ndim < 2 else expected.T
    np.testing.assert_allclose(np.broadcast_to(found, transposed.shape), transposed, rtol=1e-6)


def shown(function) -> str:
    x, w, b = placeholder("x", (1, 3)), placeholder("W", (2, 3)), placeholder("b", (2,))
    result = function(x, w, b)
    columns = Columns([result], {id(x)})
    return text(Notation({}, hidden=columns.hidden).expression(columns.column(result)))


def test_the_linear_layer_is_that_of_the_textbook():
    assert shown(lambda x, w, b: x @ w.T + b) == "W @ x + b"


def test_what_an_op_needs_turned_round_is_not_printed():
    assert shown(lambda x, w, b: ops.softmax(x @ w.T)) == "softmax(W @ x)"


def test_a_true_transpose_is_printed():
    assert shown(lambda x, w, b: ops.softmax(x).T @ b.reshape(1, 2)) == "b @ softmax(x).T"


@pytest.mark.parametrize(
    ("function", "fits"),
    [
        (lambda x: ops.tanh(x.reshape(1, 12) * 2.0), True),
        (lambda x: ops.tanh(x).reshape(1, 12), True),
        (lambda x: (x * 2.0).sum(axis=2), False),
        (lambda x: x @ placeholder("w", (3, 2)), False),
    ],
)
def test_column_notation_fits_if_samples_are_flattened_first(function, fits):
    x = placeholder("x", (1, 4, 3))
    assert fits_columns([function(x)], {id(x)}) is fits
