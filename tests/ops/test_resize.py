"""Interpolation and borders: PyTorch's results, and sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import placeholder


def random(*shape):
    return np.random.default_rng(shape).normal(size=shape)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 3, 4, 5), {"scale_factor": 2}),
        ((2, 3, 4, 5), {"scale_factor": (3, 1)}),
        ((2, 3, 4, 5), {"size": (6, 3)}),
        ((2, 3, 4, 5), {"scale_factor": (1.5, 0.5)}),
        ((2, 3, 5), {"scale_factor": 2}),
        ((2, 3, 5), {"size": 8}),
        ((0, 3, 2, 2), {"scale_factor": 2}),
        ((1, 1, 1, 1), {"size": (3, 2)}),
        ((2, 3, 4, 5), {"scale_factor": 2, "mode": "bilinear"}),
        ((2, 3, 4, 5), {"scale_factor": (1.5, 0.5), "mode": "bilinear"}),
        ((2, 3, 4, 5), {"scale_factor": 1.3, "mode": "bilinear"}),
        ((2, 3, 4, 5), {"scale_factor": 1.3, "mode": "bilinear", "align_corners": True}),
        ((2, 3, 4, 5), {"size": (7, 3), "mode": "bilinear"}),
        ((2, 3, 4, 5), {"size": (7, 3), "mode": "bilinear", "align_corners": True}),
        ((1, 1, 1, 4), {"size": (3, 1), "mode": "bilinear", "align_corners": True}),
        ((0, 3, 2, 2), {"scale_factor": 2, "mode": "bilinear"}),
    ],
)
def test_interpolate_is_that_of_pytorch(shape, options):
    pytest.importorskip("torch")
    compare_op_with_torch("interpolate", shape, **options)


@pytest.mark.parity
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("shape", "padding"),
    [
        ((2, 3, 4, 5), ((3, 0), (1, 2))),
        ((2, 3, 4, 5), ((3, 3), (4, 4))),
        ((2, 3, 4, 5), ((0, 2), (0, 0))),
        ((2, 3, 5), ((2, 4),)),
        ((1, 1, 2, 2), ((1, 1), (1, 1))),
        ((0, 2, 3), ((1, 2),)),
    ],
)
def test_borders_are_those_of_pytorch(mode, shape, padding):
    pytest.importorskip("torch")
    compare_op_with_torch(f"pad_{mode}", shape, pad_width=((0, 0), (0, 0), *padding))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_borders_are_those_of_numpy(mode):
    x, width = random(2, 4, 5), ((1, 0), (3, 2), (0, 4))
    theirs = np.pad(x, width, mode={"replicate": "edge", "circular": "wrap"}.get(mode, mode))
    found = getattr(ops, f"pad_{mode}")(x, pad_width=width).numpy()
    np.testing.assert_array_equal(found, theirs)


def test_bilinear_keeps_a_plane():
    """What is linear in both positions stays so, away from the edges."""
    x = np.add.outer(np.arange(4.0), 10 * np.arange(5.0))[None, None]
    z = ops.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True).numpy()
    expected = np.add.outer(np.linspace(0, 3, 7), 10 * np.linspace(0, 4, 9))
    np.testing.assert_allclose(z[0, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 2, 3, 4), {}, "give either size or scale_factor"),
        ((1, 2, 3, 4), {"size": 4, "scale_factor": 2}, "give either size or scale_factor"),
        (
            (1, 2, 3, 4),
            {"scale_factor": 0.3},
            "from size (3, 4) comes (0, 1), which has no elements",
        ),
        ((1, 2, 3, 4), {"size": (1, 2, 3)}, "size (1, 2, 3) is not one number, or 2"),
        (
            (1, 2, 3),
            {"size": 4, "mode": "bilinear"},
            "mode 'bilinear' does not fit a value of shape (1, 2, 3): it is 'nearest', or "
            "'bilinear' for images",
        ),
        (
            (1, 2, 3, 4),
            {"size": 4, "mode": "cubic"},
            "mode 'cubic' does not fit a value of shape (1, 2, 3, 4): it is 'nearest', or "
            "'bilinear' for images",
        ),
        (
            (1, 2, 3, 4),
            {"size": 4, "align_corners": True},
            "corners are aligned in mode 'bilinear' alone",
        ),
        (
            (2, 3),
            {"size": 4},
            "takes floats of shape (batch, channels, height, width) or (batch, channels, length) "
            "that have elements, not float32[2, 3]",
        ),
    ],
)
def test_interpolate_refuses_what_does_not_fit(shape, options, message):
    with pytest.raises(ShapeError) as error:
        ops.interpolate(placeholder("x", shape), **options)
    assert str(error.value) == f"interpolate: {message}"


def test_borders_refuse_what_does_not_fit():
    x = placeholder("x", (2, 3))
    with pytest.raises(ShapeError) as error:
        ops.pad_reflect(x, pad_width=((0, 0), (3, 0)))
    assert str(error.value) == ("pad_reflect: a border of 3 cannot be made from axis 1 of length 3")
    with pytest.raises(ShapeError) as error:
        ops.pad_replicate(placeholder("x", (2, 0)), pad_width=((0, 0), (1, 0)))
    assert str(error.value) == (
        "pad_replicate: a border of 1 cannot be made from axis 1 of length 0"
    )
    with pytest.raises(ShapeError) as error:
        ops.pad_circular(placeholder("x", (2, 3)), pad_width=((0, 0), (0, 4)))
    assert str(error.value) == (
        "pad_circular: a border of 4 cannot be made from axis 1 of length 3"
    )
    with pytest.raises(ShapeError) as error:
        ops.pad_reflect(x, pad_width=((1, 1),))
    assert str(error.value) == (
        "pad_reflect: pad_width ((1, 1),) does not give (before, after), from 0 on, for each of "
        "2 axes"
    )


def test_the_matrix_between_neighbours_by_hand():
    aligned = ops.interpolation_matrix(3, 5, align_corners=True).numpy()
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]
    np.testing.assert_array_equal(aligned, np.array(expected, "float32"))
    with pytest.raises(ShapeError) as error:
        ops.interpolation_matrix(0, 2, step=1.0)
    assert str(error.value) == ("interpolation_matrix: nothing lies between 0 elements in 2 places")
