"""Recurrence over time: states, padding, and inputs that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor

SIZE = 3
_START = np.zeros((2, 2))


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def states(kind, x, valid, start=None):
    """Return the states of an op, (time, batch, size), for random weights."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    weight = random(gates * SIZE, SIZE, seed=1)
    x = tensor(x) if not hasattr(x, "op") else x
    if start is None:
        start = np.zeros(start_shape(kind, x.shape[1]), x.dtype)
    if kind == "rnn":
        return ops.rnn_steps(x, weight, valid, start)
    if kind == "gru":
        return ops.gru_steps(x, weight, random(3 * SIZE, seed=2), valid, start)
    return ops.lstm_steps(x, weight, valid, start)


def start_shape(kind, batch):
    return (2, batch, SIZE) if kind == "lstm" else (batch, SIZE)


def width(kind):
    return SIZE * {"rnn": 1, "gru": 3, "lstm": 4}[kind]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_plain_network_by_hand():
    x, w, h = random(3, 2, 4), random(4, 4, seed=1), random(2, 4)
    relu = ops.rnn_steps(x, w, np.ones((3, 2), bool), h, nonlinearity="relu").numpy()
    np.testing.assert_allclose(relu[0], np.maximum(x[0] + h @ w.T, 0))
    found = ops.rnn_steps(x, w, np.ones((3, 2), bool), h).numpy()
    for t in range(3):
        h = np.tanh(x[t] + h @ w.T)
        np.testing.assert_allclose(found[t], h, rtol=1e-12)


def test_lstm_by_hand():
    x, w, (h, c) = random(3, 2, 8), random(8, 2, seed=1), random(2, 2, 2)
    found = ops.lstm_steps(x, w, np.ones((3, 2), bool), np.stack([h, c])).numpy()
    for t in range(3):
        i, f, g, o = np.split(x[t] + h @ w.T, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found[:, t], [h, c], rtol=1e-12)


def test_gru_by_hand():
    x, w, b, h = random(3, 2, 6), random(6, 2, seed=1), random(6, seed=2), random(2, 2)
    found = ops.gru_steps(x, w, b, np.ones((3, 2), bool), h).numpy()
    for t in range(3):
        (x_r, x_u, x_n), (r, u, n) = np.split(x[t], 3, axis=1), np.split(h @ w.T + b, 3, axis=1)
        r, u = sigmoid(x_r + r), sigmoid(x_u + u)
        h = (1 - u) * np.tanh(x_n + r * n) + u * h
        np.testing.assert_allclose(found[t], h, rtol=1e-12)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_padding_changes_nothing_and_gets_no_gradient(kind):
    x = random(5, 2, width(kind))
    valid = np.array([[True, False], [True, True], [False, True], [True, True], [False, False]])
    node = tensor(x)
    z = states(kind, node, valid)
    gradient = grad(z, node, tensor(random(*z.shape, seed=3))).numpy()
    assert (gradient[~valid] == 0).all()
    for sample in range(2):
        kept = valid[:, sample]
        alone = states(kind, x[kept, sample : sample + 1], np.ones((kept.sum(), 1), bool)).numpy()
        found = z.numpy()[..., kept, sample : sample + 1, :]
        np.testing.assert_allclose(found, alone, rtol=1e-12)
    np.testing.assert_array_equal(z.numpy()[..., 2, 0, :], z.numpy()[..., 1, 0, :])
    np.testing.assert_array_equal(z.numpy()[..., 0, 1, :], 0)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_a_state_goes_through_padding_and_so_does_its_gradient(kind):
    valid = np.array([[False, False], [True, False], [False, False]])
    x, start = tensor(random(3, 2, width(kind))), tensor(random(*start_shape(kind, 2)))
    z = states(kind, x, valid, start)
    np.testing.assert_array_equal(z.numpy()[..., 0, :, :], start.numpy())
    for t in range(3):
        np.testing.assert_array_equal(z.numpy()[..., t, 1, :], start.numpy()[..., 1, :])
    g = random(*z.shape, seed=3)
    by_start = grad(z, start, tensor(g)).numpy()
    np.testing.assert_allclose(by_start[..., 1, :], g[..., :, 1, :].sum(-2), rtol=1e-12)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_a_sequence_in_two_parts_is_one(kind):
    x, valid = random(5, 2, width(kind)), np.ones((5, 2), bool)
    whole = states(kind, x, valid).numpy()
    first = states(kind, x[:2], valid[:2]).numpy()
    second = states(kind, x[2:], valid[2:], first[..., -1, :, :]).numpy()
    np.testing.assert_allclose(np.concatenate([first, second], -3), whole, rtol=1e-12)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_gates_are_right_where_they_saturate(kind):
    x = np.full((2, 1, width(kind)), 1e4, "float32")
    for sign in (1, -1):
        z = states(kind, sign * x, np.ones((2, 1), bool))
        assert np.isfinite(z.numpy()).all()
        assert np.isfinite(grad(z.sum(), z.inputs[0]).numpy()).all()


def test_a_thousand_steps_do_not_overflow_the_stack():
    x, w = tensor(random(1000, 1, 4)), tensor(random(4, 1, seed=1))
    z = ops.lstm_steps(x, w, np.ones((1000, 1), bool), np.zeros((2, 1, 1)))
    assert np.isfinite(grad(z.sum(), w).numpy()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: ops.rnn_steps(np.zeros((3, 2, 4)), np.zeros((4, 3)), v, np.zeros((2, 4))),
         "rnn_steps: a weight of shape (4, 3) and 4 features do not fit: both take 3 = 3"),
        (lambda v: ops.lstm_steps(np.zeros((3, 2, 4)), np.zeros((8, 2)), v, np.zeros((2, 2, 2))),
         "lstm_steps: a weight of shape (8, 2) and 4 features do not fit: both take 4 · 2 = 8"),
        (lambda v: ops.gru_steps(np.zeros((3, 2, 6)), np.zeros((6, 2)), np.zeros(4), v, _START),
         "gru_steps: bias must have shape (6,), not (4,)"),
        (lambda v: ops.rnn_steps(np.zeros((2, 3, 4)), np.zeros((4, 4)), v, np.zeros((3, 4))),
         "rnn_steps: valid must have shape (2, 3), not (3, 2)"),
        (lambda v: ops.rnn_steps(np.zeros((2, 4)), np.zeros((4, 4)), v, np.zeros((2, 4))),
         "rnn_steps: takes x of shape (time, batch, features) and a matrix, not (2, 4) and (4, 4)"),
        (lambda v: ops.rnn_steps(np.zeros((3, 2, 4)), np.zeros((4, 4)), v, np.zeros((3, 4))),
         "rnn_steps: start must have shape (2, 4), not (3, 4)"),
        (lambda v: ops.gru_steps(np.zeros((3, 2, 6)), np.zeros((6, 2)), np.zeros(6), v, [0.0]),
         "gru_steps: start must have shape (2, 2), not (1,)"),
        (lambda v: ops.lstm_steps(np.zeros((3, 2, 8)), np.zeros((8, 2)), v, _START),
         "lstm_steps: start must have shape (2, 2, 2), not (2, 2)"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_errors(call, message):
    with pytest.raises(ShapeError) as caught:
        call(np.ones((3, 2), bool))
    assert str(caught.value) == message


def test_valid_is_bool_and_the_nonlinearity_is_known():
    x, w = np.zeros((3, 2, 4)), np.zeros((4, 4))
    with pytest.raises(DtypeError) as caught:
        ops.rnn_steps(x, w, np.ones((3, 2)), np.zeros((2, 4)))
    assert str(caught.value) == "rnn_steps: valid must be bool, not float64"
    with pytest.raises(GraphError) as unknown:
        ops.rnn_steps(x, w, np.ones((3, 2), bool), np.zeros((2, 4)), nonlinearity="sine")
    assert str(unknown.value) == ("rnn_steps: unknown nonlinearity 'sine' (known: tanh, relu)")
