"""Activations beyond the first ones: tails, kinks, large arrays, refusals, PyTorch's results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from parity import compare_op_with_torch, compare_with_torch

from minidl import ops, registry
from minidl.backends import backend
from minidl.errors import GraphError, ShapeError
from minidl.graph import Draw, grad, tensor

SINGLE = [
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 1.5}),
    ("leaky_relu", {"negative_slope": -0.5}),
    ("elu", {}),
    ("elu", {"alpha": 0.3}),
    ("selu", {}),
    ("softplus", {}),
    ("softplus", {"beta": 3.0}),
    ("softplus", {"beta": 0.5, "threshold": 2.0}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("mish", {}),
    ("hardswish", {}),
]
HALVING = ["glu", "swiglu"]


def random(*shape, seed=0, scale=3.0):
    return scale * np.random.default_rng([seed, *shape]).normal(size=shape)


# -- tails and kinks ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_at_1e4_values_and_two_derivatives_are_finite_and_straight(name, options, dtype):
    x = tensor([-1e4, -200.0, -50.0, 50.0, 200.0, 1e4], dtype)
    z = getattr(ops, name)(x, **options)
    first = grad(z.sum(), x)
    second = grad(first.sum(), x, unused="zeros")
    above = 1.0507009873554805 if name == "selu" else 1.0
    np.testing.assert_allclose(z.numpy()[3:], above * x.numpy()[3:], rtol=1e-6)
    np.testing.assert_allclose(first.numpy()[3:], above, rtol=1e-6)
    below = options.get("negative_slope", 0.01) if name == "leaky_relu" else 0.0
    np.testing.assert_allclose(first.numpy()[:3], below, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(second.numpy(), 0, atol=1e-9)
    assert np.isfinite(z.numpy()).all()


@pytest.mark.parametrize(("dtype", "size"), [("float16", 1e4), ("float32", 1e30)])
@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_no_square_overflows_in_a_gradient(name, options, dtype, size):
    x = tensor([-size, size], dtype)
    first = grad(getattr(ops, name)(x, **options).sum(), x).numpy()
    near = tensor([-100.0, 100.0], "float64")
    expected = grad(getattr(ops, name)(near, **options).sum(), near).numpy()
    np.testing.assert_allclose(first, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", HALVING)
def test_gates_of_1e4_give_finite_values_and_gradients(name):
    x = tensor([[1e4, -1e4, 1e4, -1e4, 2.0, 1.0, 1.0, -1e4, 1e4, -1e4]])
    z = getattr(ops, name)(x)
    assert np.isfinite(z.numpy()).all()
    assert np.isfinite(grad(z.sum(), x).numpy()).all()


@pytest.mark.parametrize(
    ("name", "options", "at", "slope"),
    [
        ("leaky_relu", {"negative_slope": 0.25}, 0.0, 0.25),
        ("elu", {"alpha": 0.5}, 0.0, 0.5),
        ("selu", {}, 0.0, 1.0507009873554805 * 1.6732632423543772),
        ("hardswish", {}, -3.0, 0.0),
        ("hardswish", {}, 3.0, 1.0),
        ("softplus", {"threshold": 2.0}, 2.0, 1 / (1 + math.exp(-2))),
    ],
)
def test_the_gradient_at_a_kink_is_the_documented_one(name, options, at, slope):
    x = tensor([at], "float64")
    found = grad(getattr(ops, name)(x, **options).sum(), x).item()
    assert found == pytest.approx(slope, rel=1e-12)


def test_prelu_at_0_passes_the_slope_on_and_nothing_to_it():
    x, a = tensor([0.0, -2.0, 3.0], "float64"), tensor([0.25], "float64")
    by_x, by_a = grad(ops.prelu(x, a).sum(), [x, a])
    assert by_x.numpy().tolist() == [0.25, 0.25, 1.0]
    assert by_a.numpy().tolist() == [-2.0]


@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_nan_stays_nan(name, options):
    z = getattr(ops, name)(tensor([math.nan, 1.0]), **options).numpy()
    assert np.isnan(z).tolist() == [True, False]


def test_gelu_is_x_times_the_normal_distribution_function():
    x = np.linspace(-6, 6, 41)
    below = [0.5 * math.erfc(-value / math.sqrt(2)) for value in x]
    np.testing.assert_allclose(ops.gelu(tensor(x)).numpy(), x * below, rtol=1e-9, atol=1e-15)


# -- kernels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["contiguous", "strided", "transposed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("leaky_relu", {"negative_slope": 0.1}),
        ("leaky_relu", {"negative_slope": 1.5}),
        ("gelu_erf", {}),
    ],
)
def test_kernels_agree_with_the_pure_rules_on_large_arrays(name, options, dtype, layout):
    x = random(3, 9000).astype(dtype)
    x = {"contiguous": x, "strided": x[:, ::2], "transposed": x.T}[layout]
    op = registry.get("op", name)
    out = np.full(x.shape, np.nan, dtype)
    assert backend("numpy").function(op)[0](x, **options, out=out) is out
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(out, op.run(np, x, **options), rtol=rtol, atol=rtol / 10)


# -- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize("name", HALVING)
def test_what_cannot_be_halved_is_refused(name):
    op = getattr(ops, name)
    with pytest.raises(ShapeError) as odd:
        op(tensor(np.zeros((4, 3))))
    assert str(odd.value) == (
        f"{name}: axis 1 of shape (4, 3) has 3 elements, which cannot be halved"
    )
    with pytest.raises(ShapeError) as absent:
        op(tensor(np.zeros((4, 2))), axis=2)
    assert str(absent.value) == f"{name}: axis 2 is out of range for a value with 2 axes"


def test_arguments_without_meaning_are_refused():
    with pytest.raises(GraphError) as approximate:
        ops.gelu(tensor([1.0]), approximate="sigmoid")
    assert str(approximate.value) == "gelu: approximate is 'none' or 'tanh', not 'sigmoid'"
    with pytest.raises(GraphError) as beta:
        ops.softplus(tensor([1.0]), beta=0)
    assert str(beta.value) == "softplus: beta must not be 0"


# -- PyTorch -----------------------------------------------------------------------------------

SHAPES = [(), (1,), (7,), (3, 5), (2, 1, 3), (0, 4)]


@pytest.mark.parity
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_activations_are_those_of_pytorch(name, options, shape):
    pytest.importorskip("torch")
    compare_op_with_torch(name, Draw(shape, -9.0, 9.0), **options)


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_activations_are_those_of_pytorch_in_the_tails(name, options):
    pytest.importorskip("torch")
    x = [-1e4, -100.0, -30.0, -10.0, -1e-6, 0.0, 1e-6, 10.0, 30.0, 100.0, 1e4]
    compare_op_with_torch(name, x, **options)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (2, 3, 5), (2, 4, 1, 3), (0, 2)], ids=str)
def test_prelu_has_a_slope_for_all_or_for_each_channel_as_in_pytorch(shape):
    torch = pytest.importorskip("torch")
    for count in (1, shape[1]):
        broadcast = (count, *[1] * (len(shape) - 2))
        compare_with_torch(
            lambda x, a, b=broadcast: ops.prelu(x, a.reshape(b)),
            torch.nn.functional.prelu,
            [random(*shape), random(count, seed=1)],
        )


@pytest.mark.parity
@pytest.mark.parametrize(
    ("shape", "axis"), [((4,), -1), ((3, 6), 1), ((4, 3), 0), ((2, 8, 3), 1), ((0, 2), -1)]
)
@pytest.mark.parametrize("name", HALVING)
def test_gated_units_are_those_of_pytorch(name, shape, axis):
    pytest.importorskip("torch")
    compare_op_with_torch(name, shape, axis=axis)
