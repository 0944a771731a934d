"""Pooling: PyTorch's results, ties, kernels in every arrangement, sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.backends import backend, use_backend
from minidl.backends.numpy_kernels import pool as numpy_pool
from minidl.errors import ShapeError
from minidl.graph import grad, placeholder, tensor

POOLS = [
    ((2, 3, 6, 8), {"kernel_size": 2}),
    ((2, 3, 7, 9), {"kernel_size": 2}),
    ((2, 3, 7, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 3, 7, 9), {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0)}),
    ((2, 3, 6, 6), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((2, 3, 7, 8), {"kernel_size": 2, "ceil_mode": True}),
    ((1, 2, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((1, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
    ((1, 2, 5, 7), {"kernel_size": (5, 7)}),
    ((1, 2, 7, 7), {"kernel_size": 1, "stride": 3}),
    ((1, 1, 1, 1), {"kernel_size": 1}),
    ((0, 3, 4, 4), {"kernel_size": 2}),
]
DILATED = [
    ((1, 2, 9, 9), {"kernel_size": 3, "stride": 1, "dilation": 2}),
    ((1, 2, 9, 9), {"kernel_size": 2, "stride": 3, "dilation": (2, 3), "padding": 1}),
    ((1, 2, 9, 8), {"kernel_size": 2, "stride": 2, "dilation": 3, "ceil_mode": True}),
]


def random(*shape):
    return np.random.default_rng(shape).normal(size=shape)


# -- PyTorch -----------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize(("image", "options"), [*POOLS, *DILATED])
def test_max_pool2d_is_that_of_pytorch(image, options):
    pytest.importorskip("torch")
    compare_op_with_torch("max_pool2d", image, **options)


@pytest.mark.parity
def test_ties_are_broken_as_by_pytorch():
    pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 3, (4, 3, 12, 12)).astype("float64")
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}):
        compare_op_with_torch("max_pool2d", x, **options)


@pytest.mark.parity
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(("image", "options"), POOLS)
def test_avg_pool2d_is_that_of_pytorch(image, options, count_include_pad):
    pytest.importorskip("torch")
    compare_op_with_torch("avg_pool2d", image, **options, count_include_pad=count_include_pad)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    "options", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}]
)
def test_pooling_of_sequences_is_that_of_pytorch(kind, options):
    pytest.importorskip("torch")
    for shape in ((2, 3, 9), (1, 1, 3), (0, 2, 4)):
        compare_op_with_torch(f"{kind}_pool1d", shape, **options)


# -- ties, kernels -----------------------------------------------------------------------------


def test_of_equal_maxima_the_first_row_by_row_receives_the_gradient():
    x = tensor([[[[1.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]]])
    found = grad(ops.max_pool2d(x, kernel_size=2).sum(), x).numpy()
    np.testing.assert_array_equal(found, [[[[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]])


def test_the_pure_rule_breaks_ties_as_the_kernel_does():
    x = np.random.default_rng(0).integers(0, 2, (3, 2, 9, 9)).astype("float32")
    options = {"kernel_size": (3, 3), "stride": (2, 2), "padding": ((1, 0), (0, 1))}
    options["dilation"] = (1, 1)
    z = ops.max_pool2d_gradient(np.ones((3, 2, 4, 4), "float32"), x, **options)
    pure = z.op.run(np, np.ones((3, 2, 4, 4), "float32"), x, **z.attributes)
    np.testing.assert_array_equal(z.numpy(), pure)


@pytest.mark.parametrize("elements", [1, 200, 1 << 20])
@pytest.mark.parametrize(("image", "options"), [*POOLS, *DILATED])
def test_kernels_are_right_whatever_is_pooled_at_a_time(image, options, elements, monkeypatch):
    monkeypatch.setattr(numpy_pool, "_BLOCK", elements)
    x = placeholder("x", image, "float64")
    forward = ops.max_pool2d(x, **options)
    g = placeholder("g", forward.shape, "float64")
    back = forward.op.backward(g, forward, x, **forward.attributes)
    calls = [(forward, [random(*image)]), (back, [random(*forward.shape), random(*image)])]
    if "dilation" not in options:
        total = ops.sum_pool2d(x, **options)
        spread = total.op.backward(g, total, x, **total.attributes)
        calls += [(total, [random(*image)]), (spread, [random(*forward.shape)])]
    for node, arrays in calls:
        compute, _ = backend("numpy").function(node.op)
        out = np.full(node.shape, np.nan)
        compute(*arrays, **node.attributes, out=out)
        expected = node.op.run(np, *arrays, **node.attributes)
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12, err_msg=node.op.name)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinities_and_nan_come_through_and_spread_to_no_other(dtype):
    x = np.array([[[[1, np.nan, -np.inf, -np.inf], [2, 3, -np.inf, 5]]]], dtype)
    z = ops.max_pool2d(x, kernel_size=2)
    np.testing.assert_array_equal(z.numpy(), np.array([[[[np.nan, 5]]]], dtype))
    g = np.array([[[[7, np.inf]]]], dtype)
    found = ops.max_pool2d_gradient(g, np.nan_to_num(x), kernel_size=2).numpy()
    assert found[0, 0].tolist() == [[0, 0, 0, 0], [0, 7, 0, np.inf]]


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
def test_a_border_wins_no_window_even_where_all_is_minus_infinity(name):
    with use_backend(name):
        x = tensor(np.full((1, 1, 2, 3), -np.inf))
        z = ops.max_pool2d(x, kernel_size=2, padding=1, stride=1)
        assert (z.numpy() == -np.inf).all()
        by_x = grad(z.sum(), x)
        # of the windows that see an element, each names the first that it sees
        assert by_x.numpy()[0, 0].tolist() == [[4.0, 2.0, 2.0], [2.0, 1.0, 1.0]]
        taken = ops.max_pool2d_take(tensor(np.ones(x.shape)), x, kernel_size=2, padding=1, stride=1)
        assert (taken.numpy() == 1).all()


def test_the_number_of_places_may_exceed_what_a_byte_holds():
    x = random(1, 1, 2, 300)
    z = ops.max_pool2d(tensor(x), kernel_size=(1, 300))
    np.testing.assert_array_equal(z.numpy()[..., 0], x.max(axis=-1))
    found = grad(z.sum(), z.inputs[0]).numpy()
    np.testing.assert_array_equal(found, x == x.max(axis=-1, keepdims=True))


# -- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (
            (1, 2, 3, 4),
            {"kernel_size": 5},
            "a kernel of 5 x 5 does not fit into an input of 3 x 4",
        ),
        (
            (1, 2, 4, 4),
            {"kernel_size": 2, "padding": 2},
            "padding ((2, 2), (2, 2)) leaves a window of 2 x 2 without any element of the input "
            "of 4 x 4",
        ),
        (
            (2, 4, 4),
            {"kernel_size": 2},
            "takes images of shape (batch, channels, height, width), not (2, 4, 4)",
        ),
        (
            (1, 2, 4, 4),
            {"kernel_size": 2, "padding": -1},
            "padding -1 is negative; cut with a slice instead",
        ),
        (
            (1, 2, 4, 4),
            {"kernel_size": 0},
            "kernel_size is a number or a pair of numbers from 1 on, not 0",
        ),
    ],
)
def test_max_pool2d_refuses_sizes_that_do_not_fit(image, options, message):
    with pytest.raises(ShapeError) as error:
        ops.max_pool2d(placeholder("x", image), **options)
    assert str(error.value) == f"max_pool2d: {message}"


def test_gradients_refuse_a_grid_of_another_size():
    x, g = placeholder("x", (1, 1, 4, 4)), placeholder("g", (1, 1, 3, 3))
    with pytest.raises(ShapeError) as error:
        ops.max_pool2d_gradient(g, x, kernel_size=2)
    expected = "make a grid of shape (1, 1, 2, 2), not (1, 1, 3, 3)"
    assert str(error.value) == f"max_pool2d_gradient: windows on (1, 1, 4, 4) {expected}"
    with pytest.raises(ShapeError) as error:
        ops.sum_pool2d_gradient(g, size=4, kernel_size=2)
    assert str(error.value) == f"sum_pool2d_gradient: windows on (4, 4) {expected}"
    with pytest.raises(ShapeError) as error:
        ops.max_pool2d_take(g, x, kernel_size=2)
    assert str(error.value) == (
        "max_pool2d_take: takes two images of one shape, not (1, 1, 3, 3) and (1, 1, 4, 4)"
    )


def test_pooling_of_sequences_refuses_images():
    with pytest.raises(ShapeError) as error:
        ops.avg_pool1d(placeholder("x", (1, 2, 4, 4)), kernel_size=2)
    assert str(error.value) == (
        "avg_pool1d: takes sequences of shape (batch, channels, length), not (1, 2, 4, 4)"
    )
