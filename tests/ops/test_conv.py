"""Convolutions: PyTorch's results, kernels in every arrangement, sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch, compare_with_torch

from minidl import ops
from minidl.backends import backend
from minidl.backends.numpy_kernels import conv as numpy_conv
from minidl.errors import DtypeError, ShapeError
from minidl.graph import placeholder

CONVOLUTIONS = [
    ((2, 3, 8, 9), (4, 3, 3, 3), {}),
    ((2, 3, 8, 9), (4, 3, 3, 3), {"padding": 1}),
    ((2, 3, 7, 9), (4, 3, 3, 2), {"padding": "same"}),
    ((2, 3, 7, 9), (4, 3, 4, 3), {"padding": "same", "dilation": (1, 3)}),
    ((2, 3, 8, 9), (4, 3, 3, 3), {"padding": "valid", "stride": 2}),
    ((1, 2, 11, 7), (3, 2, 5, 2), {"padding": (2, 0), "stride": (3, 1)}),
    ((1, 2, 9, 9), (3, 2, 3, 3), {"dilation": 2, "padding": 2}),
    ((1, 2, 9, 9), (3, 2, 3, 3), {"dilation": (2, 3), "stride": (2, 3), "padding": 3}),
    ((2, 6, 8, 5), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 4, 8, 7), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ((2, 4, 8, 7), (4, 1, 3, 3), {"groups": 4, "stride": 2}),
    ((2, 4, 8, 7), (8, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1, "dilation": 2}),
    ((2, 4, 5, 6), (7, 4, 1, 1), {}),
    ((2, 4, 5, 6), (7, 4, 1, 1), {"stride": 2}),
    ((2, 4, 5, 6), (4, 1, 1, 1), {"groups": 4}),
    ((2, 1, 9, 9), (20, 1, 3, 3), {"padding": 1}),
    ((1, 3, 4, 4), (2, 3, 4, 4), {}),
    ((1, 3, 2, 2), (2, 3, 4, 4), {"padding": 1}),
    ((3, 1, 1, 1), (1, 1, 1, 1), {}),
    ((1, 2, 1, 9), (3, 2, 1, 4), {"padding": (0, 3)}),
    ((2, 2, 9, 1), (3, 2, 4, 1), {"padding": (3, 0), "stride": (2, 1)}),
    ((0, 2, 5, 5), (3, 2, 3, 3), {"padding": 1}),
    ((1, 2, 3, 3), (2, 2, 2, 2), {"padding": 5, "stride": 4}),
]
TRANSPOSED = [
    ((2, 3, 5, 4), (3, 4, 3, 3), {}),
    ((2, 3, 5, 4), (3, 4, 3, 2), {"padding": 1}),
    ((2, 3, 5, 4), (3, 4, 4, 4), {"stride": 2, "padding": 1}),
    ((2, 3, 5, 4), (3, 4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 2, 3, 4), (2, 3, 2, 3), {"stride": (1, 3), "output_padding": (0, 2)}),
    ((1, 2, 3, 4), (2, 3, 2, 3), {"dilation": 3, "output_padding": 2, "padding": (0, 1)}),
    ((2, 4, 3, 5), (4, 2, 3, 3), {"groups": 2, "stride": 2}),
    ((2, 4, 3, 5), (4, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1}),
    ((2, 4, 3, 5), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ((2, 4, 3, 5), (4, 2, 1, 1), {}),
    ((1, 1, 1, 1), (1, 1, 3, 3), {"stride": 5}),
    ((0, 2, 3, 3), (2, 3, 2, 2), {"stride": 2}),
    ((1, 8, 4, 4), (8, 2, 3, 3), {"padding": 1}),
]


def random(*shape):
    return np.random.default_rng(shape).normal(size=shape)


# -- PyTorch -----------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize(("image", "weight", "options"), CONVOLUTIONS)
def test_conv2d_is_that_of_pytorch(image, weight, options):
    pytest.importorskip("torch")
    compare_op_with_torch("conv2d", image, weight, **options)


@pytest.mark.parity
@pytest.mark.parametrize(("grid", "weight", "options"), TRANSPOSED)
def test_conv_transpose2d_is_that_of_pytorch(grid, weight, options):
    pytest.importorskip("torch")
    compare_op_with_torch("conv_transpose2d", grid, weight, **options)


@pytest.mark.parity
@pytest.mark.parametrize(("image", "weight", "options"), CONVOLUTIONS[1:12:2])
def test_second_derivatives_are_those_of_pytorch(image, weight, options):
    torch = pytest.importorskip("torch")
    from minidl.graph import grad

    def ours(x, w):
        z = ops.conv2d(x, w, **options)
        by_x, by_w = grad((z * z * z).sum(), [x, w])
        return (by_x * by_x).sum() + (by_w * by_w * by_w).sum()

    def theirs(x, w):
        z = torch.nn.functional.conv2d(x, w, **options)
        by_x, by_w = torch.autograd.grad((z * z * z).sum(), [x, w], create_graph=True)
        return (by_x * by_x).sum() + (by_w * by_w * by_w).sum()

    arrays = [random(*image), random(*weight)]
    compare_with_torch(ours, theirs, arrays, tolerances={"float64": 1e-9})


@pytest.mark.parity
@pytest.mark.parametrize(
    ("image", "weight", "options"),
    [
        ((2, 3, 9), (4, 3, 3), {"stride": 2, "padding": 1}),
        ((2, 3, 9), (4, 3, 4), {"padding": "same", "dilation": 2}),
        ((2, 4, 9), (4, 1, 3), {"groups": 4}),
        ((1, 2, 1), (3, 2, 1), {}),
        ((0, 2, 4), (3, 2, 3), {}),
        ((2, 6, 11), (4, 3, 5), {"groups": 2, "stride": 3, "padding": 4, "dilation": 2}),
    ],
)
def test_conv1d_is_that_of_pytorch(image, weight, options):
    pytest.importorskip("torch")
    compare_op_with_torch("conv1d", image, weight, **options)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("image", "weight", "options"),
    [
        ((2, 3, 5), (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((2, 4, 5), (4, 2, 3), {"groups": 2, "dilation": 2}),
        ((1, 1, 1), (1, 1, 1), {}),
        ((0, 2, 4), (2, 3, 3), {"stride": 3}),
    ],
)
def test_conv_transpose1d_is_that_of_pytorch(image, weight, options):
    pytest.importorskip("torch")
    compare_op_with_torch("conv_transpose1d", image, weight, **options)


# -- kernels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("elements", [1, 60, 400, 1 << 20])
@pytest.mark.parametrize(("image", "weight", "options"), CONVOLUTIONS)
def test_kernels_are_right_whatever_is_made_at_a_time(
    image, weight, options, elements, monkeypatch
):
    """Blocks of rows, of samples, and of everything."""
    monkeypatch.setattr(numpy_conv, "_BLOCK", elements)
    x, w = placeholder("x", image, "float64"), placeholder("w", weight, "float64")
    forward = ops.conv2d(x, w, **options)
    g = random(*forward.shape)
    by_input, by_weight = forward.op.backward(
        placeholder("g", forward.shape, "float64"), forward, x, w, **forward.attributes
    )
    calls = [
        (forward, [random(*image), random(*weight)]),
        (by_input, [g, random(*weight)]),
        (by_weight, [random(*image), g]),
    ]
    for node, arrays in calls:
        compute, _ = backend("numpy").function(node.op)
        out = np.full(node.shape, np.nan)
        compute(*arrays, **node.attributes, out=out)
        expected = node.op.run(np, *arrays, **node.attributes)
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12, err_msg=node.op.name)


def test_a_convolution_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    np.testing.assert_array_equal(ops.conv2d(x, w).numpy(), np.full((1, 1, 2, 2), -4.0))
    spread = ops.conv_transpose2d(np.ones((1, 1, 1, 2)), w).numpy()
    np.testing.assert_array_equal(spread, [[[[1.0, 1.0, 0.0], [0.0, -1.0, -1.0]]]])


def test_negative_padding_cuts():
    x, w = random(1, 2, 6, 6), random(3, 2, 3, 3)
    cut = ops.conv2d(x, w, padding=((-1, 0), (1, -2))).numpy()
    padded = np.pad(x[:, :, 1:, :-2], ((0, 0), (0, 0), (0, 0), (1, 0)))
    np.testing.assert_allclose(cut, ops.conv2d(padded, w).numpy(), rtol=1e-12)


def test_flops_count_products_and_sums():
    x, w = placeholder("x", (2, 4, 5, 5)), placeholder("w", (6, 2, 3, 3))
    z = ops.conv2d(x, w, groups=2)
    assert z.op.count_flops(z) == 2 * (2 * 6 * 3 * 3) * (2 * 3 * 3)
    back = ops.conv_transpose2d(placeholder("x", (2, 6, 3, 3)), w, groups=2)
    assert back.op.count_flops(back) == z.op.count_flops(z)


# -- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "weight", "options", "message"),
    [
        (
            (1, 2, 3, 4),
            (1, 2, 5, 2),
            {},
            "a kernel of 5 x 2 does not fit into an input of 3 x 4",
        ),
        (
            (1, 2, 3, 3),
            (1, 2, 3, 3),
            {"padding": 1, "dilation": (3, 2)},
            "a kernel of 3 x 3 with dilation 3 x 2 does not fit into an input of 3 x 3 "
            "(5 x 5 with its padding)",
        ),
        (
            (1, 3, 4, 4),
            (2, 2, 3, 3),
            {},
            "an input with 3 channels in 1 groups takes a weight of shape (out, 3, height, "
            "width), not (2, 2, 3, 3)",
        ),
        (
            (1, 3, 4, 4),
            (2, 3, 3, 3),
            {"groups": 2},
            "3 channels in and 2 out do not fall into 2 groups",
        ),
        (
            (3, 4, 4),
            (2, 3, 3, 3),
            {},
            "takes images of shape (batch, channels, height, width), not (3, 4, 4)",
        ),
        (
            (1, 3, 4, 4),
            (3, 3),
            {},
            "takes a weight of shape (out, in, height, width), not (3, 3)",
        ),
        (
            (1, 3, 4, 4),
            (2, 3, 3, 3),
            {"padding": "same", "stride": 2},
            "padding 'same' needs a stride of 1, not 2 x 2; give it as numbers",
        ),
        (
            (1, 3, 4, 4),
            (2, 3, 3, 3),
            {"padding": "full"},
            "padding is a number, (height, width), ((top, bottom), (left, right)), 'same' or "
            "'valid', not 'full'",
        ),
        (
            (1, 3, 4, 4),
            (2, 3, 3, 3),
            {"stride": 0},
            "stride is a number or a pair of numbers from 1 on, not 0",
        ),
        (
            (1, 3, 4, 4),
            (2, 3, 3, 3),
            {"dilation": (1, 2, 3)},
            "dilation is a number or a pair of numbers from 1 on, not (1, 2, 3)",
        ),
    ],
)
def test_conv2d_refuses_sizes_that_do_not_fit(image, weight, options, message):
    with pytest.raises(ShapeError) as error:
        ops.conv2d(placeholder("x", image), placeholder("w", weight), **options)
    assert str(error.value) == f"conv2d: {message}"


@pytest.mark.parametrize(
    ("image", "weight", "options", "message"),
    [
        (
            (1, 3, 4, 4),
            (2, 2, 3, 3),
            {},
            "an input with 3 channels takes a weight of shape (3, out / groups, height, width), "
            "not (2, 2, 3, 3)",
        ),
        (
            (1, 3, 4, 4),
            (3, 2, 3, 3),
            {"stride": 2, "output_padding": 2},
            "output_padding 2 must be less than the stride or the dilation, 2 and 1",
        ),
        (
            (1, 3, 1, 4),
            (3, 2, 3, 3),
            {"padding": (2, 0)},
            "an input of 1 x 4 and a kernel of 3 x 3 make an output of -1 x 6 when "
            "padding ((2, 2), (0, 0)) is cut from it",
        ),
        (
            (1, 3, 4, 4),
            (3, 2, 3, 3),
            {"padding": "same"},
            "a transposed convolution takes padding as numbers, not 'same'",
        ),
    ],
)
def test_conv_transpose2d_refuses_sizes_that_do_not_fit(image, weight, options, message):
    with pytest.raises(ShapeError) as error:
        ops.conv_transpose2d(placeholder("x", image), placeholder("w", weight), **options)
    assert str(error.value) == f"conv_transpose2d: {message}"


def test_the_weight_gradient_refuses_a_grid_of_another_size():
    with pytest.raises(ShapeError) as error:
        ops.conv2d_weight_gradient(
            placeholder("x", (2, 3, 5, 5)), placeholder("g", (2, 4, 5, 5)), kernel_size=3
        )
    assert str(error.value) == (
        "conv2d_weight_gradient: windows on an input of shape (2, 3, 5, 5) make a grid of shape "
        "(2, 4, 3, 3), not (2, 4, 5, 5)"
    )


def test_conv1d_refuses_images():
    with pytest.raises(ShapeError) as error:
        ops.conv1d(placeholder("x", (2, 3, 5, 5)), placeholder("w", (2, 3, 3)))
    assert str(error.value) == (
        "conv1d: takes sequences of shape (batch, channels, length) and a weight of shape "
        "(out, in, length), not (2, 3, 5, 5) and (2, 3, 3)"
    )


def test_integers_are_refused():
    with pytest.raises(DtypeError) as error:
        ops.conv2d(placeholder("x", (1, 1, 3, 3), "int64"), np.ones((1, 1, 2, 2), "int64"))
    assert str(error.value) == "conv2d: takes floats, not int64; convert with astype"
