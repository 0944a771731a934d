"""Losses of numbers: values by hand, kinks, second derivatives and messages."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import GraphError, ShapeError
from minidl.graph import grad, tensor

RNG = np.random.default_rng(0)


def test_squared_error_is_half_the_sum_of_squares():
    p, t = tensor([0.5, 2.0], "float64"), tensor([1.0, -1.0], "float64")
    assert ops.squared_error(p, t).item() == 0.5 * (0.25 + 9.0)
    assert ops.squared_error(p, t, reduction="mean").item() == 0.25 * (0.25 + 9.0)
    np.testing.assert_array_equal(ops.squared_error(p, t, reduction="none").numpy(), [0.125, 4.5])
    to_p, to_t = grad(ops.squared_error(p, t), [p, t])
    np.testing.assert_array_equal(to_p.numpy(), [-0.5, 3.0])
    np.testing.assert_array_equal(to_t.numpy(), [0.5, -3.0])


def test_its_rule_reads_g_times_the_difference():
    g, p, t = tensor(1.0, name="g"), tensor([1.0], name="p"), tensor([2.0], name="t")
    z = ops.squared_error(p, t)
    to_p, _ = z.op.backward(g, z, p, t, **z.attributes)
    assert to_p.op is ops.multiply
    assert to_p.inputs[0] is g
    assert to_p.inputs[1].op is ops.subtract
    assert to_p.inputs[1].inputs == (p, t)


@pytest.mark.parametrize(
    ("loss", "options", "each"),
    [
        (ops.mse, {}, lambda d: d * d),
        (ops.mae, {}, abs),
        (ops.huber, {}, lambda d: np.where(abs(d) <= 1, d * d / 2, abs(d) - 0.5)),
        (
            ops.huber,
            {"delta": 0.25},
            lambda d: np.where(abs(d) <= 0.25, d * d / 2, 0.25 * (abs(d) - 0.125)),
        ),
    ],
)
def test_regression_losses_by_their_definitions(loss, options, each):
    p, t = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2))
    values = each(p - t)
    for reduction, value in (("none", values), ("sum", values.sum()), ("mean", values.mean())):
        found = loss(p, t, reduction=reduction, **options)
        np.testing.assert_allclose(found.numpy(), value, rtol=1e-12)


def test_mae_has_gradient_0_at_its_kink():
    p = tensor([1.0, 2.0, 3.0], "float64")
    slope = grad(ops.mae(p, [2.0, 2.0, 2.0], reduction="sum"), p)
    np.testing.assert_array_equal(slope.numpy(), [-1.0, 0.0, 1.0])


def test_huber_has_the_right_first_and_second_derivatives_everywhere():
    p = tensor([-3.0, -0.5, -0.25, 0.0, 0.25, 0.5, 3.0], "float64")
    t = tensor(np.zeros(7))
    slope = grad(ops.huber(p, t, delta=0.5, reduction="sum"), p)
    np.testing.assert_array_equal(slope.numpy(), [-0.5, -0.5, -0.25, 0.0, 0.25, 0.5, 0.5])
    curvature = grad(slope.sum(), p).numpy()
    np.testing.assert_array_equal(curvature[[0, 2, 3, 4, 6]], [0.0, 1.0, 1.0, 1.0, 0.0])


ONE_SHAPE = (
    "prediction and target must have one shape, not (5, 4) and (5,); a loss does not broadcast"
)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ops.squared_error(x, x[:, 0]), ShapeError, f"squared_error: {ONE_SHAPE}"),
        (lambda x: ops.mse(x, x[:, 0]), ShapeError, f"mse: {ONE_SHAPE}"),
        (lambda x: ops.mae(x, x[:, 0]), ShapeError, f"mae: {ONE_SHAPE}"),
        (lambda x: ops.huber(x, x[:, 0]), ShapeError, f"huber: {ONE_SHAPE}"),
        (
            lambda x: ops.mse(x, x, reduction="average"),
            GraphError,
            "mse: unknown reduction 'average' (known: mean, sum, none)",
        ),
        (
            lambda x: ops.squared_error(x, x, reduction="avg"),
            GraphError,
            "squared_error: unknown reduction 'avg' (known: mean, sum, none)",
        ),
        (
            lambda x: ops.huber(x, x, delta=0),
            GraphError,
            "huber: delta must be above 0, not 0",
        ),
        (lambda x: ops.smooth_l1(x, x[:, 0]), ShapeError, f"smooth_l1: {ONE_SHAPE}"),
        (
            lambda x: ops.smooth_l1(x, x, beta=0),
            GraphError,
            "smooth_l1: beta must be above 0, not 0; at 0 it is mae",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call(tensor(RNG.normal(size=(5, 4))))
    assert str(caught.value) == message


# -- PyTorch ----------------------------------------------------------------------------------

CALLS = [
    *((name, {}) for name in ("mse", "mae", "squared_error")),
    *(("huber", {"delta": delta}) for delta in (0.3, 1.0, 2.0)),
    *(("smooth_l1", {"beta": beta}) for beta in (0.3, 1.0, 2.0)),
]


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 1), (6,), ()])
@pytest.mark.parametrize(("name", "options"), CALLS)
def test_losses_and_gradients_are_those_of_pytorch(name, options, shape, reduction):
    pytest.importorskip("torch")
    compare_op_with_torch(name, shape, shape, **options, reduction=reduction)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("name", ["mse", "mae", "huber", "smooth_l1", "squared_error"])
def test_losses_of_nothing_are_those_of_pytorch(name, reduction):
    pytest.importorskip("torch")
    compare_op_with_torch(name, (0, 3), (0, 3), reduction=reduction)
