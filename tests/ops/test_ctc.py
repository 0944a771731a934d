"""CTC: every alignment by hand, PyTorch, impossible targets and messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph import grad, tensor


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def by_hand(log_probs, target, blank=0):
    """Add up every path of (T, C) that spells the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=log_probs.shape[0]):
        spelled = [c for c, _ in itertools.groupby(path) if c != blank]
        if spelled == list(target):
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 2], [2, 1, 2], [1, 1, 1]])
@pytest.mark.parametrize("blank", [0, 3])
def test_it_is_the_sum_over_every_path(target, blank):
    target = [c if blank == 0 else c - 1 for c in target]
    x = log_softmax(np.random.default_rng(0).normal(size=(5, 1, 4)))
    padded = np.array([target + [7] * (4 - len(target))])  # behind the length: anything
    found = ops.ctc(x, padded, [5], [len(target)], blank=blank, reduction="none")
    np.testing.assert_allclose(found.numpy(), [by_hand(x[:, 0], target, blank)], rtol=1e-12)


def test_steps_behind_the_length_of_an_input_do_not_count():
    x = log_softmax(np.random.default_rng(1).normal(size=(6, 1, 3)))
    found = ops.ctc(x, [[1, 2]], [4], [2], reduction="none")
    np.testing.assert_allclose(found.numpy(), [by_hand(x[:4, 0], [1, 2])], rtol=1e-12)
    leaf = tensor(x)
    slope = grad(ops.ctc(leaf, [[1, 2]], [4], [2]), leaf).numpy()
    assert (slope[4:] == 0).all()
    np.testing.assert_allclose(slope[:4].sum(axis=-1) * 2, -np.ones((4, 1)), rtol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_a_target_without_a_path_has_no_gradient(backend, zero_infinity):
    with use_backend(backend):
        x = tensor(log_softmax(np.random.default_rng(2).normal(size=(2, 2, 3))), "float32")
        losses = ops.ctc(
            x, [[1, 1], [1, 2]], [2, 2], [2, 2], reduction="none", zero_infinity=zero_infinity
        )
        assert losses.numpy()[0] == (0 if zero_infinity else np.inf)
        slope = grad(losses.sum(), x).numpy()
        assert (slope[:, 0] == 0).all() and np.isfinite(slope).all()
        assert (slope[:, 1] != 0).any()


def test_a_class_of_probability_zero_does_not_spoil_the_others():
    probabilities = np.array([[[0.5, 0.5, 0.0]], [[0.25, 0.75, 0.0]], [[0.5, 0.0, 0.5]]])
    with np.errstate(divide="ignore"):
        x = tensor(np.log(probabilities))
    loss = ops.ctc(x, [[1]], [2], [1], reduction="sum")
    np.testing.assert_allclose(loss.item(), -np.log(1 - 0.125), rtol=1e-12)
    assert np.isfinite(grad(loss, x).numpy()).all()
    skipped = ops.ctc(x, [[2]], [3], [1], reduction="sum")
    np.testing.assert_allclose(skipped.item(), -np.log(0.5 * 0.25 * 0.5), rtol=1e-12)
    assert np.isfinite(grad(skipped, x).numpy()).all()


def test_long_inputs_do_not_underflow():
    x = tensor(log_softmax(np.random.default_rng(3).normal(size=(400, 1, 30))), "float32")
    target = np.random.default_rng(4).integers(1, 30, (1, 100))
    loss = ops.ctc(x, target, [400], [100], reduction="sum")
    exact = ops.ctc(x.astype("float64"), target, [400], [100], reduction="sum")
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    slope = grad(loss, x).numpy()
    np.testing.assert_allclose(slope.sum(axis=-1), -1, rtol=1e-3)


def test_float16_is_computed_in_float32():
    x = log_softmax(np.random.default_rng(3).normal(size=(6, 1, 3)))
    loss = ops.ctc(tensor(x, "float16"), [[1, 2]], [6], [2])
    assert loss.item() == pytest.approx(ops.ctc(x, [[1, 2]], [6], [2]).item(), rel=1e-2)


X = np.zeros((4, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            (np.zeros((4, 3)), [[1]], [4], [1]),
            {},
            ShapeError,
            "ctc: takes log probabilities of shape (T, N, C) with targets of shape (N, S), "
            "not (4, 3) and (1, 1)",
        ),
        (
            (X, [[1]], [4, 4], [1, 1]),
            {},
            ShapeError,
            "ctc: takes log probabilities of shape (T, N, C) with targets of shape (N, S), "
            "not (4, 2, 3) and (1, 1)",
        ),
        (
            (X, [[1], [2]], [4], [1, 1]),
            {},
            ShapeError,
            "ctc: input lengths must be of shape (2,), not (1,)",
        ),
        (
            (X, [[1], [2]], [4, 4], 1),
            {},
            ShapeError,
            "ctc: target lengths must be of shape (2,), not ()",
        ),
        (
            (X, [[1.0], [2.0]], [4, 4], [1, 1]),
            {},
            DtypeError,
            "ctc: targets and lengths are integers, not float32",
        ),
        (
            (X.astype("int64"), [[1], [2]], [4, 4], [1, 1]),
            {},
            DtypeError,
            "ctc: log probabilities must be floats, not int64",
        ),
        (
            (X, [[1], [2]], [4, 4], [1, 1]),
            {"blank": 3},
            GraphError,
            "ctc: blank must be one of 3 classes, not 3",
        ),
        (
            (X, [[1], [2]], [4, 4], [1, 1]),
            {"reduction": "all"},
            GraphError,
            "ctc: unknown reduction 'all' (known: mean, sum, none)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, error, message):
    with pytest.raises(error) as caught:
        ops.ctc(*arguments, **options)
    assert str(caught.value) == message


def test_recurrences_name_what_does_not_fit():
    with pytest.raises(ShapeError) as caught:
        ops.band_recurrence(X, X, X, X[0])
    assert str(caught.value) == (
        "band_recurrence: takes four values of one shape (T, N, S), not (4, 2, 3), (4, 2, 3), "
        "(4, 2, 3) and (2, 3)"
    )
    with pytest.raises(ShapeError) as caught:
        ops.log_band_recurrence(X, X, X)
    assert str(caught.value) == (
        "log_band_recurrence: takes values of shapes (T, N, S), (N, S) and (N, S), not "
        "(4, 2, 3), (4, 2, 3) and (4, 2, 3)"
    )


CASES = [
    # T, N, C, S, input lengths, target lengths
    (5, 1, 3, 2, [5], [2]),
    (12, 3, 5, 4, [12, 9, 4], [4, 3, 0]),
    (1, 2, 4, 1, [1, 1], [1, 0]),
    (30, 2, 20, 9, [30, 25], [9, 1]),
    (7, 2, 2, 3, [7, 7], [3, 2]),
    (6, 2, 4, 4, [6, 3], [2, 4]),
]


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("blank_last", [False, True])
def test_ctc_is_that_of_pytorch(case, reduction, blank_last):
    pytest.importorskip("torch")
    t, n, c, s, *lengths = case
    target = np.random.default_rng(5).integers(0, c - 1, (n, s)) + (not blank_last)
    options = {"blank": c - 1 if blank_last else 0, "reduction": reduction, "zero_infinity": True}
    compare_op_with_torch("ctc", (t, n, c), target, *lengths, **options)
