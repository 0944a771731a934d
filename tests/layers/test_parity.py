"""PyTorch: every layer that it has too is compared with it, value and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch_layers
from parity import compare_layer_with_torch

from minidl import registry
from minidl.component import config_fields

_ROWS = [(3, 4), (1, 1), (0, 6), (7, 13), (2, 4, 3, 5)]
_IMAGES = [(2, 4, 7, 9), (1, 4, 5, 5), (0, 4, 6, 5)]
_SEQUENCES = [(2, 4, 9), (1, 4, 5), (0, 4, 6)]
_STEPS = [(2, 3, 4), (1, 1, 4), (3, 7, 4)]
_CHANNELS = [(3, 4), (2, 4, 5), (3, 4, 1, 7), (2, 4, 3, 1, 2)]


def _each(shapes: list[tuple[int, ...]], *options: dict[str, Any]) -> list[Any]:
    return [(fields, shape) for shape in shapes for fields in (options or ({},))]


_WINDOWS = [{"kernel_size": 3}, {"kernel_size": 2, "stride": 1, "ceil_mode": True}]
_WINDOWS += [{"kernel_size": 3, "stride": 2, "padding": 1}]
_NORMED = [{"kernel_size": 3, "stride": 1}, *_WINDOWS[:2]]
_PAIRS = {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)}
_FILTERS = [
    {"out_channels": 8, **fields}
    for fields in (
        {"kernel_size": 3},
        {"kernel_size": 1, "bias": False},
        {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2},
        {"kernel_size": 2, "groups": 2},
        {"kernel_size": 5, "groups": 4, "padding": 2},
    )
]
_SAME = {"out_channels": 3, "kernel_size": 4, "padding": "same"}
_BORDERED = [
    {"out_channels": 3, "kernel_size": 3, "padding": 2, "padding_mode": mode}
    for mode in ("reflect", "replicate", "circular")
] + [{**_SAME, "padding_mode": mode} for mode in ("reflect", "replicate", "circular")]
_BLOCKS = [{"num_heads": 2, "mlp_ratio": 1.5}, {"num_heads": 1, "pre_norm": False}]
_BLOCKS += [{"num_heads": 4, "causal": True}, {"num_heads": 4, "causal": False}]
_NORMS = [{"eps": 0.1}, {"eps": 0.1, "affine": False}, {"eps": 0.5, "affine": True}]
_LAST = [{"eps": 0.1}, {"eps": 0.1, "elementwise_affine": False}, {"normalized_shape": 4}]

LAYERS: dict[str, list[Any]] = {
    **{
        f"adaptive_{kind}_pool{axes}d": _each(shapes, *({"output_size": n} for n in sizes))
        for kind in ("avg", "max")
        for axes, shapes, sizes in (
            (1, _SEQUENCES, (1, 3, 11)),
            (2, _IMAGES, (3, (1, 8), ("same", 2))),
        )
    },
    "add": [({}, shape, shape) for shape in _ROWS] + [({}, *[(2, 3)] * 4)],
    "avg_pool1d": _each(_SEQUENCES, *_WINDOWS, {**_WINDOWS[2], "count_include_pad": False}),
    "avg_pool2d": _each(_IMAGES, *_WINDOWS, _PAIRS, {**_WINDOWS[2], "count_include_pad": False}),
    "batch_norm": _each(_CHANNELS, *_NORMS, {"track_running_stats": False, "eps": 0.1}, {}),
    "concat": [({}, (2, 3), (2, 1)), ({"axis": -1}, (2, 1, 3), (2, 1, 0), (2, 1, 2))],
    "conv1d": _each(_SEQUENCES, *_FILTERS, _SAME, *_BORDERED),
    "conv2d": _each(_IMAGES, *_FILTERS, _SAME, *_BORDERED, {"out_channels": 1, **_PAIRS}),
    "conv_transpose1d": _each(_SEQUENCES, *_FILTERS)
    + _each(_SEQUENCES, {**_FILTERS[0], "stride": 3, "output_padding": 2}),
    "conv_transpose2d": _each(_IMAGES, *_FILTERS, {"out_channels": 1, **_PAIRS})
    + _each(_IMAGES, {**_FILTERS[0], "stride": (2, 3), "output_padding": (0, 2)}),
    "dropout": _each(_ROWS, {"p": 0.3}),
    "elu": _each(_ROWS, {}, {"alpha": 0.7}),
    "embedding": [
        ({"num_embeddings": 5, "embedding_dim": width}, np.array(x, "int64"))
        for x in ([[0, 4, 4], [1, 0, 0]], [3], np.zeros((0, 2)))
        for width in (1, 3)
    ],
    "flatten": _each(_ROWS, {}) + _each([(2, 3, 1, 4), (0, 2, 3)], {"start_axis": 2}),
    "gelu": _each(_ROWS, {}, {"approximate": "tanh"}),
    "global_avg_pool": _each([*_IMAGES, *_SEQUENCES], {}, {"keepdims": True}, {"axis": -1}),
    "global_max_pool": _each([*_IMAGES, *_SEQUENCES], {}, {"keepdims": True}, {"axis": -1}),
    "glu": _each([(3, 4), (1, 2), (0, 6)], {}) + _each([(2, 6, 3)], {"axis": 1}),
    "group_norm": _each(_CHANNELS, *({"num_groups": n, "eps": 0.1} for n in (1, 2)))
    + _each(_CHANNELS, {"num_groups": 4, "affine": False, "eps": 0.5})
    + _each([(2, 6, 3), (2, 6, 5, 7)], {"num_groups": 2}),
    "hardswish": _each(_ROWS),
    "identity": _each(_ROWS),
    "instance_norm": _each(_CHANNELS[1:], *_NORMS, {"track_running_stats": True, "eps": 0.1})
    + _each([(2, 3, 5), (1, 3, 7, 5)], {}),
    "layer_norm": _each([(3, 4), (2, 3, 4), (0, 4)], *_LAST, {"bias": False, "eps": 0.1})
    + _each([(2, 5, 1, 7)], {"normalized_shape": (5, 1, 7)}, {}),
    "leaky_relu": _each(_ROWS, {}, {"negative_slope": 0.2}),
    "linear": _each([(3, 4), (1, 1), (0, 6), (2, 3, 5)], {"units": 1}, {"units": 7})
    + _each([(5, 3)], {"units": 2, "bias": False}),
    "log_softmax": _each(_ROWS) + _each([(2, 5, 1, 3)], {"axis": 1}),
    **{
        name: _each(shapes, *({"norm_type": p, **fields} for p in (2, 4.0) for fields in _NORMED))
        for name, shapes in (("lp_pool1d", _SEQUENCES), ("lp_pool2d", _IMAGES))
    },
    "max_pool1d": _each(_SEQUENCES, *_WINDOWS, {"kernel_size": 2, "dilation": 2}),
    "max_pool2d": _each(_IMAGES, *_WINDOWS, _PAIRS, {"kernel_size": 2, "dilation": (1, 3)}),
    "mish": _each(_ROWS),
    "multi_head_attention": _each(_STEPS, {"num_heads": 1}, {"num_heads": 4, "bias": False})
    + _each(_STEPS, {"num_heads": 2, "causal": True})
    + [({"num_heads": 2}, (2, 3, 4), (2, 5, 3)), ({"num_heads": 1}, *[(1, 3, 4)] * 3)],
    "multiply": [({}, shape, shape) for shape in _ROWS]
    + [({}, *[(2, 3)] * 4)]
    + [({}, (2, 4, 3, 5), (2, 4, 1, 1)), ({}, (2, 1, 3), (2, 4, 1)), ({}, (0, 3), (0, 1))],
    "pad": _each(_IMAGES, *({"padding": p} for p in (1, (1, 2), (0, 1, 2, 3))))
    + _each(_IMAGES[:2], *({"padding": 2, "mode": m} for m in ("reflect", "replicate", "circular")))
    + _each(_SEQUENCES, {"padding": (3, 0), "value": 0.5}),
    "permute": _each(_SEQUENCES, {"axes": (2, 1)}) + _each(_IMAGES, {"axes": (-1, 1, 2)}),
    "positional_embedding": _each([(2, 3, 4), (1, 1, 1), (0, 2, 5)], {"max_length": 3}),
    "prelu": _each(_ROWS) + _each([(2, 4), (3, 4, 5), (0, 4, 1)], {"num_parameters": 4}),
    "relu": _each(_ROWS),
    "reshape": _each([(2, 6), (0, 2, 3), (1, 6, 1)], {"shape": (3, 2)})
    + _each([(2, 6), (1, 3, 4)], {"shape": (2, -1, 1)}),
    "rms_norm": _each([(3, 4), (2, 3, 4), (0, 4)], *_LAST, {})
    + _each([(2, 5, 1, 7)], {"normalized_shape": (5, 1, 7)}),
    "selu": _each(_ROWS),
    "sequential": [
        ({"layers": [{"type": "linear", "units": 5}, {"type": "tanh"}]}, shape)
        for shape in [(3, 4), (1, 1), (0, 2)]
    ],
    "sigmoid": _each(_ROWS),
    "silu": _each(_ROWS),
    "slice": _each([(2, 5), (1, 3, 2), (0, 4)], {"stop": 2}, {"start": -2}, {"start": 1})
    + _each([(2, 3, 5)], {"axis": -1, "start": 1, "stop": -1}),
    "softmax": _each(_ROWS) + _each([(2, 5, 1, 3)], {"axis": 1}),
    "softplus": _each(_ROWS, {}, {"beta": 2.0, "threshold": 5.0}),
    "swiglu": _each([(3, 4), (1, 2), (0, 6)], {}) + _each([(2, 6, 3)], {"axis": 1}),
    "tanh": _each(_ROWS),
    "transformer_block": _each(_STEPS, *_BLOCKS),
    "transformer_decoder_block": [
        (fields, shape, (shape[0], time, 4))
        for shape, time in zip(_STEPS, (5, 1, 2), strict=True)
        for fields in _BLOCKS
    ],
    "upsample": _each([(2, 3, 4, 5), (1, 1, 1, 1)], {"scale_factor": 2}, {"size": (7, 6)})
    + _each([(2, 3, 4, 5)], {"size": (3, 9), "mode": "bilinear"})
    + _each([(2, 3, 4, 5)], {"scale_factor": 1.5, "mode": "bilinear", "align_corners": True})
    + _each([(2, 3, 5)], {"scale_factor": 2.0}),
    **{
        name: _each(_STEPS, {"hidden_size": 3}, {"hidden_size": 1, "bias": False})
        + _each(_STEPS, {"hidden_size": 2, "num_layers": 2, "bidirectional": True})
        + _each(_STEPS, {"hidden_size": 2, "num_layers": 2, "output": "last"})
        for name in ("rnn", "gru", "lstm")
    },
}
"""Fields and shapes of inputs to compare each layer with."""
LAYERS["rnn"] += _each(_STEPS, {"hidden_size": 3, "nonlinearity": "relu"})


def layers() -> Iterator[Any]:
    """Yield (layer's name, fields, inputs, whether in training) for every layer PyTorch has."""
    for name in torch_layers.LAYERS:
        modes = [False] if name == "dropout" else [False, True]  # what it drops differs
        for index, (fields, *inputs) in enumerate(LAYERS[name]):
            for training in modes:
                mode = "training" if training else "evaluation"
                yield pytest.param(name, fields, inputs, training, id=f"{name}-{index}-{mode}")


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize(("name", "fields", "inputs", "training"), list(layers()))
def test_layers_are_those_of_pytorch(name, fields, inputs, training):
    pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    arrays = [x if isinstance(x, np.ndarray) else 2 * rng.normal(size=x) for x in inputs]
    module = torch_layers.module(name, fields, *(array.shape for array in arrays))
    compare_layer_with_torch({"type": name, **fields}, module, arrays, training=training)


ELSEWHERE = {
    "batch_norm": {"momentum"},  # test_norm.py
    "instance_norm": {"momentum"},
    **dict.fromkeys(("lp_pool1d", "lp_pool2d"), {"padding"}),  # test_pool.py
    "multi_head_attention": {"dropout", "num_kv_heads", "rotary", "rotary_base"},
    "prelu": {"init"},
    "sequential": {"input"},
    **dict.fromkeys(
        ("transformer_block", "transformer_decoder_block"),  # test_transformer.py
        {"activation", "bias", "dropout", "norm", "num_kv_heads", "rotary"},
    ),
    **dict.fromkeys(("gru", "lstm", "rnn"), {"dropout"}),
}
"""Fields that PyTorch's modules lack, that draw, or that other files compare."""


def test_every_option_of_every_layer_is_among_them():
    of_all = {"name", "inputs", "repeat", "tie", "init", "bias_init"}
    for name, calls in LAYERS.items():
        tried = {field for fields, *_ in calls for field in fields}
        fields = {field.name for field in config_fields(registry.get("layer", name))}
        assert fields - of_all - ELSEWHERE.get(name, set()) <= tried, name
