"""Normalisation: large means, shapes that do not fit, large arrays, PyTorch's results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops, registry
from minidl.backends import backend
from minidl.errors import ShapeError
from minidl.graph import Draw, grad, tensor


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# -- numerically hard cases --------------------------------------------------------------------

LAYOUTS = [((64, 100), (1,)), ((256, 32), (0,)), ((16, 8, 9, 9), (0, 2, 3)), ((4, 6, 50), (1, 2))]


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e5])
def test_float32_is_right_at_a_large_mean_and_so_is_its_gradient(shape, axis, offset):
    x = (random(*shape) + offset).astype("float32")
    weights = random(*shape, seed=5).astype("float32")

    def of(dtype):
        given = tensor(x.astype(dtype))
        z = ops.standardize(given, axis=axis)
        first = grad((z * tensor(weights.astype(dtype))).sum(), given)
        return z.numpy(), first.numpy(), grad((first * first).sum(), given).numpy()

    for single, double in zip(of("float32"), of("float64"), strict=True):
        largest = np.abs(double).max()
        np.testing.assert_allclose(single, double, rtol=0, atol=2e-5 * largest)


def test_the_pure_rule_is_right_at_a_large_mean_too():
    x = (random(64, 100) + 1e5).astype("float32")
    op = registry.get("op", "standardize")
    single = op.run(np, x, axis=(1,), eps=1e-5, centred=True)
    double = op.run(np, x.astype("float64"), axis=(1,), eps=1e-5, centred=True)
    np.testing.assert_allclose(single, double, atol=1e-5)


@pytest.mark.parametrize("shape", [(2_000_000, 2), (500_000, 2, 4)])
def test_millions_of_rows_in_float32_have_variance_1(shape):
    x = np.random.default_rng(0).normal(3, 2, size=shape).astype("float32")
    axis = tuple(i for i in range(len(shape)) if i != 1)
    z = ops.standardize(tensor(x), axis=axis).numpy().astype("float64")
    np.testing.assert_allclose(z.mean(axis), 0, atol=1e-5)
    np.testing.assert_allclose((z * z).mean(axis), 1, atol=1e-5)


def test_a_constant_is_0_and_passes_no_gradient():
    x = tensor(np.full((3, 5), 7e4, "float32"))
    z = ops.standardize(x, axis=1)
    assert not z.numpy().any()
    assert np.isfinite(grad(z, x, tensor(random(3, 5).astype("float32"))).numpy()).all()


def test_one_value_alone_is_0():
    x = tensor(random(4, 1))
    z = ops.standardize(x, axis=1)
    assert not z.numpy().any()
    assert not grad(z, x, tensor(random(4, 1, seed=1))).numpy().any()


@pytest.mark.parametrize("centred", [True, False])
def test_what_it_gives_has_mean_square_1(centred):
    z = ops.standardize(tensor(random(6, 40) + 2), axis=1, eps=0.0, centred=centred).numpy()
    np.testing.assert_allclose((z * z).mean(1), 1, rtol=1e-12)
    assert (np.abs(z.mean(1)) < 1e-12).all() == centred


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((40, 4000), (1,)),
        ((4000, 40), (0,)),
        ((32, 20, 9, 13), (0, 2, 3)),
        ((3, 100000), (1,)),
        ((100000, 3), (0,)),
        ((30, 40, 100), (0, 2)),
        ((30, 40, 100), (0, 1, 2)),
        ((10, 11, 12, 13), (1, 3)),
    ],
)
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_kernels_agree_with_the_pure_rules_on_arrays_of_many_parts(shape, axis, layout):
    numpy = backend("numpy")
    x, g = (np.float32(random(*shape, seed=s)) for s in (0, 1))
    if layout == "transposed":
        x = np.ascontiguousarray(x.T).T
    scale = np.abs(x).max(axis=axis, keepdims=True)
    for name, arrays, attributes in (
        ("standardize", (x,), {"axis": axis, "eps": 1e-5, "centred": True}),
        ("standardize", (x,), {"axis": axis, "eps": 1e-5, "centred": False}),
        ("norm_gradient", (g, x, scale), {"axis": axis}),
    ):
        op = registry.get("op", name)
        before = [array.copy() for array in arrays]
        out = np.full(shape, np.nan, "float32")
        assert numpy.function(op)[0](*arrays, **attributes, out=out) is out
        expected = op.run(np, *(array.astype("float64") for array in arrays), **attributes)
        np.testing.assert_allclose(out, expected, atol=1e-5 * np.abs(expected).max())
        for array, old in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, old)


# -- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shapes", "options", "message"),
    [
        ("standardize", [(3, 0)], {"axis": 1}, "shape (3, 0) has no elements along axis 1"),
        ("standardize", [(3,)], {"axis": 1}, "axis 1 is out of range for a value with 1 axes"),
        (
            "norm_gradient",
            [(3, 4), (3, 4), (1, 4)],
            {"axis": 1},
            "g of shape (3, 4) needs z of the same shape and r of shape (3, 1), "
            "not (3, 4) and (1, 4)",
        ),
        (
            "layer_norm",
            [(3, 4), (3,), (3,)],
            {},
            "weight and bias have the shape of the last axes of x, which is of shape (3, 4); "
            "not (3,) and (3,)",
        ),
        (
            "layer_norm",
            [(3, 4), (4,), (1,)],
            {},
            "weight and bias have the shape of the last axes of x, which is of shape (3, 4); "
            "not (4,) and (1,)",
        ),
        (
            "rms_norm",
            [(4,), (3, 4)],
            {},
            "weight has the shape of the last axes of x, which is of shape (4,); not (3, 4)",
        ),
        (
            "group_norm",
            [(2, 4, 3), (4,), (4,)],
            {"num_groups": 3},
            "3 groups do not divide the 4 channels of (2, 4, 3)",
        ),
        (
            "group_norm",
            [(2, 4, 3), (3,), (4,)],
            {"num_groups": 2},
            "4 channels, axis 1 of (2, 4, 3), need values of shape (4,), not (3,)",
        ),
        (
            "instance_norm",
            [(2, 4), (4,), (4,)],
            {},
            "takes a value of shape (N, C, L, …), not (2, 4)",
        ),
        (
            "batch_norm",
            [(5,), (5,), (5,), (5,), (5,)],
            {},
            "takes a value of shape (N, C, …), not (5,)",
        ),
        (
            "batch_norm",
            [(2, 4), (4,), (2,), (4,), (4,)],
            {},
            "4 channels, axis 1 of (2, 4), need values of shape (4,), not (2,)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, shapes, options, message):
    with pytest.raises(ShapeError) as error:
        getattr(ops, name)(*(tensor(np.zeros(shape)) for shape in shapes), **options)
    assert str(error.value) == f"{name}: {message}"


# -- PyTorch -----------------------------------------------------------------------------------

CHANNELS = [(3, 4), (2, 6, 5), (2, 4, 3, 5), (1, 2, 1, 7), (5, 2, 1, 1), (2, 2, 3, 1, 2)]


def wide_enough(eps, shape):
    """Return an eps at which PyTorch's float32 is right to 1e-4.

    Of one value or two the gradient is 0 or nearly, and PyTorch's is rounding / sqrt(eps).
    """
    return eps if math.prod(shape) > 2 else max(eps, 0.1)


@pytest.mark.parity
@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize(
    ("shape", "last"),
    [((3, 5), 1), ((2, 3, 5), 1), ((2, 3, 5), 2), ((4, 1), 1), ((0, 5), 1), ((2, 3, 1, 7), 3)],
)
def test_layer_norm_and_rms_norm_are_those_of_pytorch(shape, last, eps):
    pytest.importorskip("torch")
    values = shape[-last:]
    eps = wide_enough(eps, values)
    compare_op_with_torch("layer_norm", shape, values, values, eps=eps)
    for given in (eps, None):
        compare_op_with_torch("rms_norm", shape, values, eps=given)


@pytest.mark.parity
@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [*CHANNELS, (0, 4, 2)], ids=str)
def test_group_norm_is_that_of_pytorch(shape, eps):
    pytest.importorskip("torch")
    channels = shape[1:2]
    for groups in (n for n in range(1, shape[1] + 1) if shape[1] % n == 0):
        options = {"num_groups": groups, "eps": wide_enough(eps, (shape[1] // groups, *shape[2:]))}
        compare_op_with_torch("group_norm", shape, channels, channels, **options)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [s for s in CHANNELS if len(s) > 2 and s[2:] != (1, 1)], ids=str)
def test_instance_norm_is_that_of_pytorch(shape):
    pytest.importorskip("torch")
    compare_op_with_torch("instance_norm", shape, shape[1:2], shape[1:2], eps=1e-3)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [*CHANNELS, (0, 3, 2, 2)], ids=str)
def test_batch_norm_by_given_statistics_is_that_of_pytorch(shape):
    pytest.importorskip("torch")
    c = shape[1:2]
    compare_op_with_torch("batch_norm", shape, c, Draw(c, 0.5, 2.0), c, c, eps=1e-3)
