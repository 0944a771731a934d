"""Pooling over whole sequences and images, of which some may be padding."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.component import make
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Spec, grad, tensor
from minidl.layers import Context

POOLS = [("avg", np.mean), ("max", np.max)]


def apply(fields, *inputs):
    layer = make("layer", fields)
    spec = layer.setup(*(x.spec for x in inputs), path="it")
    z = layer(*inputs, context=Context({}))
    assert z.spec == spec
    return z


@pytest.mark.parametrize(("kind", "pooled"), POOLS)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_padding_counts_for_nothing(kind, pooled, keepdims, axis):
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(3, 5, 4)), [5, 2, 3]
    padding = np.arange(5) >= np.array(lengths)[:, None]
    x[padding] = np.inf
    expected = np.stack([pooled(x[n, :length], axis=0) for n, length in enumerate(lengths)])
    turned = tensor(x if axis != 1 else np.swapaxes(x, 1, 2))
    fields = {"type": f"global_{kind}_pool", "axis": axis, "keepdims": keepdims}
    z = apply(fields, turned, tensor(padding))
    if keepdims:
        expected = np.expand_dims(expected, 2 if axis == 1 else 1)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-14)
    by_x = grad(ops.sum(z), turned).numpy()
    by_x = np.swapaxes(by_x, 1, 2) if axis == 1 else by_x
    assert (by_x[padding] == 0).all()
    np.testing.assert_allclose(by_x.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_images_take_a_mask_of_their_places(kind):
    x, padding = np.ones((2, 3, 4, 5)), np.zeros((2, 4, 5), bool)
    x[:, :, :, 2:], padding[:, :, 2:] = 7, True
    z = apply({"type": f"global_{kind}_pool"}, tensor(x), tensor(padding))
    np.testing.assert_array_equal(z.numpy(), np.ones((2, 3)))


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_a_sample_of_nothing_but_padding_becomes_0(kind):
    x, padding = tensor(np.ones((2, 3, 4))), tensor(np.array([[True] * 3, [False] * 3]))
    z = apply({"type": f"global_{kind}_pool", "axis": 2}, x, padding)
    assert z.numpy().tolist() == [[0.0] * 4, [1.0] * 4]
    assert (grad(ops.sum(z), x).numpy()[0] == 0).all()


@pytest.mark.parametrize("p", [1, 2, 2.5, 3.0])
@pytest.mark.parametrize("axes", [1, 2])
def test_lp_pooling_is_the_norm_of_each_window(axes, p):
    x = np.random.default_rng(0).normal(size=(2, 3, *(4,) * axes))
    x[0] = 0
    given = tensor(x)
    fields = {"type": f"lp_pool{axes}d", "norm_type": p, "kernel_size": 3, "padding": 1}
    z = apply({**fields, "stride": 3}, given)
    places = tuple(range(2, x.ndim))
    bordered = np.pad(x, [(0, 0), (0, 0), *[(1, 1)] * axes])
    windows = np.lib.stride_tricks.sliding_window_view(bordered, (3,) * axes, places)
    chosen = windows[(..., *[slice(None, None, 3)] * axes, *[slice(None)] * axes)]
    expected = (np.abs(chosen) ** p).sum(axis=tuple(range(-axes, 0))) ** (1 / p)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-12)
    assert (grad(ops.sum(z), given).numpy()[0] == 0).all()


@pytest.mark.parametrize(
    ("fields", "specs", "error", "message"),
    [
        (
            {"axis": -3},
            [((2, 3, 4),)],
            ShapeError,
            "axis -3 is the batch; name that of the channels (its input is float32[2, 3, 4])",
        ),
        (
            {"axis": 3},
            [((2, 3, 4),)],
            ShapeError,
            "axis 3 is out of range for a value with 3 axes (its input is float32[2, 3, 4])",
        ),
        (
            {},
            [((2, 3, 4),), ((2, 3), "bool")],
            ShapeError,
            "the padding mask has shape (2, 3), but the input without axis 1, its channels, has "
            "(2, 4) (its inputs are float32[2, 3, 4], bool[2, 3])",
        ),
        (
            {"axis": -1},
            [((2, 3, 4),), ((2, 3),)],
            DtypeError,
            "its second input is a padding mask (bool), not float32 "
            "(its inputs are float32[2, 3, 4], float32[2, 3])",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_errors(fields, specs, error, message):
    layer = make("layer", {"type": "global_avg_pool", **fields})
    with pytest.raises(error) as caught:
        layer.setup(*(Spec(*spec) for spec in specs), path="it")
    assert str(caught.value) == f"layer 'it' (global_avg_pool): {message}"
