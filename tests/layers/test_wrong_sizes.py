"""Sizes, dtypes and axes that a layer cannot take: one table, in which every layer stands.

The message names the layer and the numbers; what it says of them is in the table.
"""

from __future__ import annotations

import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import GraphError
from minidl.graph import Spec

TAKES_ANYTHING = {
    *("elu", "gelu", "hardswish", "identity", "leaky_relu", "mish", "relu", "selu", "sigmoid"),
    *("silu", "softplus", "tanh"),
}
"""Layers that work on each element for itself."""

OF_OTHERS = {"sequential", "transformer_block", "transformer_decoder_block"}
"""Layers whose parts refuse what does not fit; see below."""

WRONG = [
    (
        {"type": "conv1d", "out_channels": 4, "kernel_size": 9},
        [(2, 3, 8)],
        "conv1d: a kernel of 9 does not fit into an input of 8",
    ),
    (
        {"type": "conv2d", "out_channels": 4, "kernel_size": 9},
        [(2, 3, 8, 8)],
        "conv2d: a kernel of 9 x 9 does not fit into an input of 8 x 8",
    ),
    (
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "groups": 3},
        [(2, 3, 8, 8)],
        "groups = 3 must divide the channels in and out, 3 and 4",
    ),
    (
        {"type": "conv_transpose1d", "out_channels": 4, "kernel_size": 3, "padding": 9},
        [(2, 3, 8)],
        "conv_transpose1d: an input of 8 and a kernel of 3 make an output of -8 when "
        "padding (9, 9) is cut from it",
    ),
    (
        {"type": "conv_transpose2d", "out_channels": 4, "kernel_size": 3, "groups": 2},
        [(2, 3, 8, 8)],
        "groups = 2 must divide the channels in and out, 3 and 4",
    ),
    (
        {"type": "max_pool1d", "kernel_size": 9},
        [(2, 3, 8)],
        "max_pool1d: a kernel of 9 does not fit into an input of 8",
    ),
    (
        {"type": "max_pool2d", "kernel_size": 9},
        [(2, 3, 8, 8)],
        "max_pool2d: a kernel of 9 x 9 does not fit into an input of 8 x 8",
    ),
    (
        {"type": "avg_pool1d", "kernel_size": 2, "padding": 2},
        [(2, 3, 8)],
        "avg_pool1d: padding (2, 2) leaves a window of 2 without any element of the input of 8",
    ),
    (
        {"type": "avg_pool2d", "kernel_size": 9},
        [(2, 3, 8, 8)],
        "avg_pool2d: a kernel of 9 x 9 does not fit into an input of 8 x 8",
    ),
    (
        {"type": "lp_pool1d", "kernel_size": 9, "norm_type": 2.0},
        [(2, 3, 8)],
        "avg_pool1d: a kernel of 9 does not fit into an input of 8",
    ),
    (
        {"type": "lp_pool2d", "kernel_size": 9, "norm_type": 2.0},
        [(2, 3, 8, 8)],
        "avg_pool2d: a kernel of 9 x 9 does not fit into an input of 8 x 8",
    ),
    (
        "multiply",
        [(4, 6), (4, 5)],
        "input 1 of shape (4, 6) and input 2 of shape (4, 5) differ on axis 1: 6 and 5",
    ),
    (
        {"type": "permute", "axes": [1, 1]},
        [(4, 6, 2)],
        "axes are those behind the batch, 1 to 2, each once, not [1, 1]",
    ),
    (
        "batch_norm",
        [Spec((4, 3), "int64")],
        "it takes floats, not int64; convert and scale the data first (x.astype('float32') "
        "/ 255 for images), or put an 'embedding' before it if these are indices",
    ),
    (
        {"type": "adaptive_avg_pool1d", "output_size": 2},
        [(2, 3, 8, 8)],
        "it takes sequences with channels, of shape (batch, channels, length), not (2, 3, "
        "8, 8); put a 'reshape' before it if the numbers are there in another shape ({ type"
        " = 'reshape', shape = [1, 100] })",
    ),
    (
        {"type": "adaptive_avg_pool2d", "output_size": 2},
        [(2, 3, 8)],
        "it takes images with channels, of shape (batch, channels, height, width), not (2, "
        "3, 8); put a 'reshape' before it if the numbers are there in another shape ({ type"
        " = 'reshape', shape = [1, 28, 28] })",
    ),
    (
        {"type": "adaptive_max_pool1d", "output_size": 2},
        [(2, 3, 0)],
        "adaptive_max_pool1d: takes sequences of shape (batch, channels, length) that have "
        "elements, not (2, 3, 0)",
    ),
    (
        {"type": "adaptive_max_pool2d", "output_size": 2},
        [(2, 3, 8)],
        "it takes images with channels, of shape (batch, channels, height, width), not (2, "
        "3, 8); put a 'reshape' before it if the numbers are there in another shape ({ type"
        " = 'reshape', shape = [1, 28, 28] })",
    ),
    (
        "global_avg_pool",
        [(2, 3, 0, 8)],
        "an input of shape (2, 3, 0, 8) has no places to pool over",
    ),
    (
        "global_max_pool",
        [(2, 3, 4), Spec((2, 5), "bool")],
        "the padding mask has shape (2, 5), but the input without axis 1, its channels, has (2, 4)",
    ),
    (
        {"type": "upsample", "scale_factor": 2},
        [(4, 6)],
        "interpolate: takes floats of shape (batch, channels, height, width) or (batch, "
        "channels, length) that have elements, not float32[4, 6]",
    ),
    (
        {"type": "pad", "padding": [1, 1, 1, 1]},
        [(2, 3, 8)],
        "sequences have 2 sides, and padding gives 4",
    ),
    (
        {"type": "linear", "units": 2},
        [(4,)],
        "it takes a batch of vectors, of shape (batch, ..., features), not (4,); put { type"
        " = 'reshape', shape = [1] } before it if each sample is one number",
    ),
    (
        {"type": "embedding", "num_embeddings": 4, "embedding_dim": 2},
        [(2, 3)],
        "it takes integer indices, not float32",
    ),
    (
        "dropout",
        [Spec((2, 3), "int64")],
        "it takes floats, not int64; convert and scale the data first (x.astype('float32') "
        "/ 255 for images), or put an 'embedding' before it if these are indices",
    ),
    (
        "add",
        [(4, 6), (4, 1)],
        "input 1 of shape (4, 6) and input 2 of shape (4, 1) differ on axis 1: 6 and 1",
    ),
    (
        "concat",
        [(4, 6), (3, 6)],
        "input 1 of shape (4, 6) and input 2 of shape (3, 6) differ on axis 0: 4 and 3",
    ),
    (
        "flatten",
        [(4,)],
        "axis 1 is out of range for a value with 1 axes",
    ),
    (
        {"type": "reshape", "shape": [4]},
        [(4, 6)],
        "a sample of shape (6,) has 6 elements and cannot become (4,)",
    ),
    (
        {"type": "slice", "stop": 9},
        [(4, 6)],
        "the part 0:9 does not lie within axis 1 of length 6",
    ),
    (
        {"type": "residual", "layers": [{"type": "linear", "units": 3}]},
        [(4, 6)],
        "its layers turn shape (4, 6) into (4, 3), which cannot be added to it; give it a "
        "shortcut that ends in the same shape",
    ),
    (
        "batch_norm",
        [(4,)],
        "it takes a batch of shape (N, C, …), not (4,)",
    ),
    (
        "layer_norm",
        [(4,)],
        "it takes a batch with 1 more axis to normalise over, not shape (4,)",
    ),
    (
        {"type": "layer_norm", "normalized_shape": []},
        [(4, 6)],
        "normalized_shape is [], which names no axis to normalise over",
    ),
    (
        {"type": "rms_norm", "normalized_shape": 5},
        [(4, 6)],
        "normalized_shape is [5], but the last axes of (4, 6) are [6]",
    ),
    (
        {"type": "group_norm", "num_groups": 2},
        [(2, 3, 8, 8)],
        "group_norm: 2 groups do not divide the 3 channels of (2, 3, 8, 8)",
    ),
    (
        "instance_norm",
        [(4, 6)],
        "it takes a batch of shape (N, C, L, …), not (4, 6)",
    ),
    (
        "instance_norm",
        [(4, 6, 1)],
        "each channel of a sample of shape (6, 1) is one value, of which nothing is left when the "
        "mean is subtracted",
    ),
    (
        {"type": "multi_head_attention", "num_heads": 3},
        [(2, 5, 8)],
        "num_heads = 3 does not divide the width 8",
    ),
    (
        {"type": "multi_head_attention", "num_heads": 2},
        [(2, 5, 8), Spec((2, 4), "bool")],
        "the padding mask has shape (2, 4), but the sequences have (batch, time) = (2, 5)",
    ),
    (
        {"type": "multi_head_attention", "num_heads": 2},
        [(2, 5, 0)],
        "sequences of shape (2, 5, 0) have no features",
    ),
    (
        {"type": "transformer_block", "num_heads": 2},
        [(2, 5, 8), (2, 5, 8)],
        "behind the sequence it takes a padding mask (bool), not float32; a memory is what "
        "'transformer_decoder_block' takes",
    ),
    (
        {"type": "transformer_block", "num_heads": 2, "activation": "flatten"},
        [(2, 5, 8)],
        "the activation 'flatten' gives float32[2, 160], which does not lead back to "
        "float32[2, 5, 8]",
    ),
    (
        {"type": "transformer_block", "num_heads": 2, "norm": {"type": "linear", "units": 3}},
        [(2, 5, 8)],
        "the norm 'linear' changes the shape",
    ),
    (
        {"type": "positional_embedding", "max_length": 4},
        [(2, 5, 8)],
        "a sequence of 5 steps is longer than max_length = 4",
    ),
    (
        "sinusoidal_embedding",
        [(2, 5)],
        "it takes sequences, of shape (batch, time, features), not (2, 5)",
    ),
    (
        {"type": "padding_mask", "value": -1},
        [Spec((2, 3), "uint8")],
        "value = -1.0 cannot occur in uint8",
    ),
    (
        {"type": "padding_mask", "value": 1e30},
        [Spec((2, 3), "int64")],
        "value = 1e+30 cannot occur in int64",
    ),
    (
        "blank_padding",
        [(2, 5, 3), Spec((2, 4), "bool")],
        "the padding mask has shape (2, 4), but the sequences have (batch, time) = (2, 5)",
    ),
    (
        {"type": "rnn", "hidden_size": 3},
        [(2, 8)],
        "it takes sequences, of shape (batch, time, features), not (2, 8)",
    ),
    (
        {"type": "gru", "hidden_size": 3},
        [(2, 5, 8), Spec((2, 4), "bool")],
        "the padding mask has shape (2, 4), but the sequences have (batch, time) = (2, 5)",
    ),
    (
        {"type": "lstm", "hidden_size": 3},
        [(2, 5, 8), Spec((3,), "int64")],
        "lengths of shape (3,) do not fit a batch of 2 sequences",
    ),
    (
        "glu",
        [(2, 5)],
        "glu: axis 1 of shape (2, 5) has 5 elements, which cannot be halved",
    ),
    (
        {"type": "glu", "axis": 0},
        [(2, 4)],
        "axis 0 of (2, 4) is the batch; choose one behind it",
    ),
    (
        "swiglu",
        [(2, 5)],
        "swiglu: axis 1 of shape (2, 5) has 5 elements, which cannot be halved",
    ),
    (
        {"type": "softmax", "axis": 0},
        [(2, 4)],
        "axis 0 of (2, 4) is the batch; choose one behind it",
    ),
    (
        {"type": "log_softmax", "axis": 2},
        [(2, 4)],
        "axis 2 is out of range for a value with 2 axes",
    ),
    (
        {"type": "prelu", "num_parameters": 2},
        [(2, 3, 8, 8)],
        "num_parameters is 2, but an input of shape (2, 3, 8, 8) has 3 channels, axis 1",
    ),
]


def refusal(layer, specs):
    """Return the message with which a layer refuses inputs of these specs."""
    made = make("layer", layer)
    given = [spec if isinstance(spec, Spec) else Spec(spec) for spec in specs]
    with pytest.raises(GraphError) as caught:
        made.setup(*given, path="it", place="model.layers[0]")
    assert caught.value.place.startswith("model.layers[0]")
    verb = "input is" if len(given) == 1 else "inputs are"
    return str(caught.value), f" (its {verb} {', '.join(map(str, given))})"


@pytest.mark.parametrize(("layer", "specs", "message"), WRONG)
def test_the_layer_and_the_numbers_are_named(layer, specs, message):
    name = layer if isinstance(layer, str) else layer["type"]
    found, inputs = refusal(layer, specs)
    assert found == f"layer 'it' ({name}, model.layers[0]): {message}{inputs}"


@pytest.mark.parametrize(
    ("layer", "specs", "part", "message"),
    [
        (
            {"type": "transformer_block", "num_heads": 3},
            [(2, 5, 8)],
            "'it.self_attn' (multi_head_attention, model.layers[0])",
            "num_heads = 3 does not divide the width 8",
        ),
        (
            {"type": "transformer_decoder_block", "num_heads": 2},
            [(2, 5, 8), (3, 5, 8)],
            "'it.multihead_attn' (multi_head_attention, model.layers[0])",
            "the sequences do not fit together: queries, keys and values have (batch, time) = "
            "(2, 5), (3, 5) and (3, 5)",
        ),
        (
            {"type": "sequential", "layers": [{"type": "group_norm", "num_groups": 2}]},
            [(2, 3, 8)],
            "'it.group_norm_0' (group_norm, model.layers[0].layers[0])",
            "group_norm: 2 groups do not divide the 3 channels of (2, 3, 8)",
        ),
    ],
)
def test_a_part_of_a_layer_is_named_where_it_stands(layer, specs, part, message):
    found, inputs = refusal(layer, specs)
    assert found == f"layer {part}: {message}{inputs}"


def test_every_layer_says_what_it_does_not_take():
    tried = {layer if isinstance(layer, str) else layer["type"] for layer, _, _ in WRONG}
    layers = {e.name for e in registry.entries("layer") if e.source == "minidl"}
    assert layers - tried - OF_OTHERS == TAKES_ANYTHING
