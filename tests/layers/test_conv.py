"""Layers of convolution, pooling, upsampling and borders: what they pad and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context


def refusal(layer, *specs, error=ShapeError):
    """Return the message with which a layer refuses inputs of these specs."""
    with pytest.raises(error) as caught:
        make("layer", layer).setup(*(Spec(*s) for s in specs), path="it", place="model.layers[0]")
    return str(caught.value)


def wrong_field(name, **fields):
    """Return the message with which a layer refuses its fields."""
    with pytest.raises(ConfigError) as caught:
        registry.get("layer", name)(**fields)
    return str(caught.value)


# -- what does not fit -------------------------------------------------------------------------


def test_conv2d_refuses_rows_with_advice():
    assert refusal({"type": "conv2d", "out_channels": 4, "kernel_size": 3}, ((8, 784),)) == (
        "layer 'it' (conv2d, model.layers[0]): it takes images with channels, of shape (batch, "
        "channels, height, width), not (8, 784); put a 'reshape' before it if the numbers are "
        "there in another shape ({ type = 'reshape', shape = [1, 28, 28] }) (its input is "
        "float32[8, 784])"
    )


def test_conv2d_refuses_bytes_with_advice():
    message = refusal(
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3},
        ((8, 1, 9, 9), "uint8"),
        error=DtypeError,
    )
    assert message.startswith("layer 'it' (conv2d, model.layers[0]): it takes floats, not uint8; ")


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 5},
            (8, 3, 4, 9),
            "conv2d: a kernel of 5 x 5 does not fit into an input of 4 x 9",
        ),
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "groups": 2},
            (8, 3, 9, 9),
            "groups = 2 must divide the channels in and out, 3 and 4",
        ),
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "groups": 3},
            (8, 3, 9, 9),
            "groups = 3 must divide the channels in and out, 3 and 4",
        ),
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same", "stride": 2},
            (8, 3, 9, 9),
            "conv2d: padding 'same' needs a stride of 1, not 2 x 2; give it as numbers",
        ),
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same", "stride": 2}
            | {"padding_mode": "reflect"},
            (8, 3, 9, 9),
            "padding 'same' needs a stride of 1, not 2 x 2; give it as numbers",
        ),
        (
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": [1, 4]}
            | {"padding_mode": "reflect"},
            (8, 3, 4, 4),
            "pad_reflect: a border of 4 cannot be made from axis 3 of length 4",
        ),
        (
            {"type": "conv1d", "out_channels": 4, "kernel_size": 3, "padding": 5}
            | {"padding_mode": "circular"},
            (8, 3, 4),
            "pad_circular: a border of 5 cannot be made from axis 2 of length 4",
        ),
        (
            {"type": "conv_transpose1d", "out_channels": 4, "kernel_size": 3, "groups": 2},
            (8, 3, 4),
            "groups = 2 must divide the channels in and out, 3 and 4",
        ),
        (
            {"type": "conv_transpose1d", "out_channels": 4, "kernel_size": 3}
            | {"stride": 2, "output_padding": 2},
            (8, 3, 4),
            "conv_transpose1d: output_padding 2 must be less than the stride or the dilation, 2 "
            "and 1",
        ),
        (
            {"type": "conv_transpose1d", "out_channels": 4, "kernel_size": 3, "padding": 4},
            (8, 3, 4),
            "conv_transpose1d: an input of 4 and a kernel of 3 make an output of -2 when padding "
            "(4, 4) is cut from it",
        ),
        (
            {"type": "adaptive_max_pool2d", "output_size": 2},
            (8, 3, 0, 4),
            "adaptive_max_pool2d: takes images of shape (batch, channels, height, width) that have "
            "elements, not (8, 3, 0, 4)",
        ),
        (
            {"type": "adaptive_avg_pool1d", "output_size": 2},
            (8, 3),
            "it takes sequences with channels, of shape (batch, channels, length), not (8, 3); put "
            "a 'reshape' before it if the numbers are there in another shape ({ type = 'reshape', "
            "shape = [1, 100] })",
        ),
        (
            {"type": "max_pool2d", "kernel_size": [3, 5]},
            (8, 3, 4, 4),
            "max_pool2d: a kernel of 3 x 5 does not fit into an input of 4 x 4",
        ),
        (
            {"type": "avg_pool2d", "kernel_size": 2, "padding": 2},
            (8, 3, 4, 4),
            "avg_pool2d: padding ((2, 2), (2, 2)) leaves a window of 2 x 2 without any element of "
            "the input of 4 x 4",
        ),
        (
            {"type": "pad", "padding": 4, "mode": "reflect"},
            (8, 3, 4, 4),
            "pad_reflect: a border of 4 cannot be made from axis 2 of length 4",
        ),
        (
            {"type": "pad", "padding": [1, 1]},
            (8, 3),
            "it takes images or sequences, of shape (batch, channels, height, width) or (batch, "
            "channels, length), not (8, 3)",
        ),
        (
            {"type": "pad", "padding": [1, 1, 2, 2]},
            (8, 3, 4),
            "sequences have 2 sides, and padding gives 4",
        ),
        (
            "global_avg_pool",
            (8, 3),
            "it takes images or sequences, of shape (batch, channels, ...), not (8, 3)",
        ),
        (
            {"type": "upsample", "scale_factor": 0.1},
            (8, 3, 4, 4),
            "interpolate: from size (4, 4) comes (0, 0), which has no elements",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(layer, shape, message):
    name = layer if isinstance(layer, str) else layer["type"]
    shown = ", ".join(map(str, shape))
    assert refusal(layer, (shape,)) == (
        f"layer 'it' ({name}, model.layers[0]): {message} (its input is float32[{shown}])"
    )


@pytest.mark.parametrize("mode", ["zeros", "replicate"])
@pytest.mark.parametrize(
    ("name", "shape", "padding", "around"),
    [
        ("conv1d", (2, 3, 6), [[2, 0]], [2, 0]),
        ("conv2d", (2, 3, 6, 5), [[2, 1], [0, 1]], [0, 1, 2, 1]),
        ("conv2d", (2, 3, 6, 5), [[0, 1], 2], [2, 2, 0, 1]),
        ("conv2d", (2, 3, 6, 5), [1, 2], [2, 2, 1, 1]),
    ],
)
def test_the_sides_of_an_axis_may_be_padded_apart(name, shape, padding, around, mode):
    conv = {"type": name, "out_channels": 4, "kernel_size": 3, "bias": False}
    border = {"type": "pad", "padding": around, "mode": mode.replace("zeros", "constant")}
    x, layers = tensor(np.random.default_rng(0).normal(size=shape)), []
    for config in (
        {**conv, "padding": padding, "padding_mode": mode},
        {"type": "sequential", "layers": [border, conv]},
    ):
        layer = make("layer", config)
        layer.setup(x.spec)
        weight = np.random.default_rng(1).normal(size=(4, 3, *(3,) * (len(shape) - 2)))
        values = {p.path: tensor(weight) for p in layer.all_parameters()}
        layers.append(layer(x, context=Context(values)).numpy())
    np.testing.assert_allclose(*layers, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (
            "conv2d",
            {"out_channels": 4, "kernel_size": [3, 0]},
            "kernel_size: it is at least 1, got 0",
        ),
        (
            "conv2d",
            {"out_channels": 4, "kernel_size": 3, "padding": -1},
            "padding: it is at least 0, got -1",
        ),
        (
            "conv1d",
            {"out_channels": 4, "kernel_size": 3, "padding": [1, 0]},
            "padding: it is a number or [[before, after]] for the one axis of a sequence, "
            "got [1, 0]",
        ),
        (
            "conv1d",
            {"out_channels": 4, "kernel_size": 3, "padding": [[1, -2]]},
            "padding: it is at least 0, got -2",
        ),
        (
            "conv2d",
            {"out_channels": 4, "kernel_size": 3, "padding": [1, 1, 0]},
            "padding: it is a number, [height, width] or [[top, bottom], [left, right]], "
            "got [1, 1, 0]",
        ),
        ("max_pool2d", {"kernel_size": 2, "stride": 0}, "stride: it is at least 1, got 0"),
        (
            "adaptive_max_pool2d",
            {"output_size": [2, 0]},
            "output_size: it is at least 1, got 0",
        ),
        ("upsample", {}, "it takes one of scale_factor and size"),
        ("upsample", {"scale_factor": 2, "size": 4}, "it takes one of scale_factor and size"),
        ("upsample", {"scale_factor": -1.0}, "scale_factor: it is greater than 0, got -1.0"),
        (
            "upsample",
            {"scale_factor": 2, "align_corners": True},
            "align_corners: corners are aligned in mode 'bilinear' alone",
        ),
        ("pad", {"padding": [1, 2, 3]}, "padding: it is one number, 2 or 4 of them, got [1, 2, 3]"),
        (
            "pad",
            {"padding": 1, "mode": "reflect", "value": 1.0},
            "value: the border has one in mode 'constant' alone",
        ),
    ],
)
def test_fields_without_meaning_are_refused(name, fields, message):
    assert wrong_field(name, **fields) == f"layer '{name}': {message}"
