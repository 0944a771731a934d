"""What PyTorch calls each layer: the table from which the comparisons of layers are made.

It can be read without PyTorch: modules are made where it is there.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

try:
    import torch
    from torch import nn
except ImportError:
    torch = nn = None

Shape = tuple[int, ...]

LAYERS: dict[str, str | Callable[..., Any]] = {
    "adaptive_avg_pool1d": "AdaptiveAvgPool1d",
    "adaptive_max_pool1d": "AdaptiveMaxPool1d",
    "avg_pool1d": "AvgPool1d",
    "avg_pool2d": "AvgPool2d",
    "dropout": "Dropout",
    "elu": "ELU",
    "embedding": "Embedding",
    "flatten": "Flatten",
    "gelu": "GELU",
    "glu": "GLU",
    "hardswish": "Hardswish",
    "identity": "Identity",
    "leaky_relu": "LeakyReLU",
    "lp_pool1d": "LPPool1d",
    "lp_pool2d": "LPPool2d",
    "max_pool1d": "MaxPool1d",
    "max_pool2d": "MaxPool2d",
    "mish": "Mish",
    "prelu": "PReLU",
    "relu": "ReLU",
    "selu": "SELU",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "softplus": "Softplus",
    "tanh": "Tanh",
    "upsample": "Upsample",
}
"""Each layer that PyTorch has, with the module's name, or with a function of the layer's fields
and its inputs' shapes that makes a module. For a name, ``axis`` is renamed. Parameters go by the
same names on both sides."""

NO_COUNTERPART: dict[str, str] = {
    "blank_padding": "PyTorch's CTC takes lengths instead",
    "padding_mask": "PyTorch leaves masks to its user",
    "residual": "PyTorch has no container that adds; its sum is that of add",
    "sinusoidal_embedding": "PyTorch has no positions of sines",
}
"""Each layer that PyTorch does not have, and why."""


def module(name: str, fields: dict[str, Any], *shapes: Shape) -> Any:
    """Return PyTorch's module for the layer ``name``, with random parameters and buffers."""
    found = LAYERS[name]
    if callable(found):
        made = found(*shapes, **fields)
    else:
        renamed = {"axis": "dim", "start_axis": "start_dim"}
        made = getattr(nn, found)(**{renamed.get(k, k): v for k, v in fields.items()})
    torch.manual_seed(1)
    for value in made.parameters():
        nn.init.uniform_(value, -0.7, 0.7)
    for value in made.buffers():
        if value.is_floating_point():
            nn.init.uniform_(value, 0.3, 0.7)
    return made.double()


def counterpart(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into the table."""

    def enter(rule: Callable[..., Any]) -> Callable[..., Any]:
        LAYERS[name] = rule
        return rule

    return enter


def _calling(made: Any, call: Callable[..., Any]) -> Any:
    """Return a module that is run as ``call(its own forward, *inputs)``."""
    forward = made.forward
    made.forward = lambda *inputs: call(forward, *inputs)
    return made


def _of(function: Callable[..., Any]) -> Any:
    """Return a function as a module."""
    return _calling(nn.Module(), lambda _, *inputs: function(*inputs))


# -- without parameters ------------------------------------------------------------------------


@counterpart("add")
def _add(*shapes):
    return _of(lambda *xs: torch.stack(xs).sum(0))


@counterpart("adaptive_avg_pool2d")
def _adaptive_avg_pool2d(shape, output_size):
    return nn.AdaptiveAvgPool2d(_size(output_size))


@counterpart("adaptive_max_pool2d")
def _adaptive_max_pool2d(shape, output_size):
    return nn.AdaptiveMaxPool2d(_size(output_size))


def _size(given):
    return given if isinstance(given, int) else [None if n == "same" else n for n in given]


@counterpart("concat")
def _concat(*shapes, axis=1):
    return _of(lambda *xs: torch.cat(xs, axis))


def _other_axes(shape, axis):
    return [i for i in range(1, len(shape)) if i != axis % len(shape)]


@counterpart("global_avg_pool")
def _global_avg_pool(shape, axis=1, keepdims=False):
    return _of(lambda x: x.mean(_other_axes(shape, axis), keepdim=keepdims))


@counterpart("global_max_pool")
def _global_max_pool(shape, axis=1, keepdims=False):
    return _of(lambda x: x.amax(_other_axes(shape, axis), keepdim=keepdims))


@counterpart("log_softmax")
def _log_softmax(shape, axis=-1):
    return nn.LogSoftmax(axis)


@counterpart("multiply")
def _multiply(*shapes):
    return _of(lambda *xs: functools.reduce(torch.mul, xs))


@counterpart("permute")
def _permute(shape, axes):
    return _of(lambda x: x.permute(0, *axes))


@counterpart("pad")
def _pad(shape, padding, mode="constant", value=0.0):
    last = len(shape) - 2
    sides = [padding] * 2 * last if isinstance(padding, int) else padding
    sides = [*sides, *[0] * (2 * last - len(sides))]
    options = {"value": value} if mode == "constant" else {}
    return _of(lambda x: nn.functional.pad(x, sides, mode, **options))


@counterpart("reshape")
def _reshape(first, shape):
    return _of(lambda x: x.reshape(len(x), *shape))


@counterpart("slice")
def _slice(shape, axis=1, start=0, stop=None):
    before = [slice(None)] * (axis % len(shape))
    return _of(lambda x: x[(*before, slice(start, stop))])


@counterpart("softmax")
def _softmax(shape, axis=-1):
    return nn.Softmax(axis)


@counterpart("swiglu")
def _swiglu(shape, axis=-1):
    def gate(x):
        a, b = x.chunk(2, axis)
        return nn.functional.silu(a) * b

    return _of(gate)


# -- with parameters ---------------------------------------------------------------------------


@counterpart("conv1d")
def _conv1d(shape, out_channels, kernel_size, **fields):
    return nn.Conv1d(shape[1], out_channels, kernel_size, **fields)


@counterpart("conv2d")
def _conv2d(shape, out_channels, kernel_size, **fields):
    return nn.Conv2d(shape[1], out_channels, kernel_size, **fields)


@counterpart("conv_transpose1d")
def _conv_transpose1d(shape, out_channels, kernel_size, **fields):
    return nn.ConvTranspose1d(shape[1], out_channels, kernel_size, **fields)


@counterpart("conv_transpose2d")
def _conv_transpose2d(shape, out_channels, kernel_size, **fields):
    return nn.ConvTranspose2d(shape[1], out_channels, kernel_size, **fields)


@counterpart("linear")
def _linear(shape, units, **fields):
    return nn.Linear(shape[-1], units, **fields)


@counterpart("positional_embedding")
def _positional_embedding(shape, max_length):
    return _calling(
        nn.Embedding(max_length, shape[2]),
        lambda forward, x: x + forward(torch.arange(shape[1])),
    )


@counterpart("sequential")
def _sequential(shape, layers):
    made, x = OrderedDict(), torch.zeros(shape)
    for index, fields in enumerate(layers):
        name = fields["type"]
        options = {key: value for key, value in fields.items() if key != "type"}
        part = module(name, options, tuple(x.shape)).float()
        made[f"{name}_{index}"], x = part, part(x)
    return nn.Sequential(made)


# -- normalisation -----------------------------------------------------------------------------


def _by_axes(name: str, shape: Shape) -> Any:
    return getattr(nn, f"{name}{max(len(shape) - 2, 1)}d")


@counterpart("batch_norm")
def _batch_norm(shape, momentum=0.1, **fields):
    momentum = None if momentum == "cumulative" else momentum
    return _by_axes("BatchNorm", shape)(shape[1], momentum=momentum, **fields)


@counterpart("group_norm")
def _group_norm(shape, num_groups, **fields):
    return nn.GroupNorm(num_groups, shape[1], **fields)


@counterpart("instance_norm")
def _instance_norm(shape, **fields):
    return _by_axes("InstanceNorm", shape)(shape[1], **fields)


@counterpart("layer_norm")
def _layer_norm(shape, normalized_shape=None, **fields):
    return nn.LayerNorm(normalized_shape or shape[-1], **fields)


@counterpart("rms_norm")
def _rms_norm(shape, normalized_shape=None, **fields):
    return nn.RMSNorm(normalized_shape or shape[-1], **fields)


# -- sequences ---------------------------------------------------------------------------------


def _recurrent(name: str, path: str) -> None:
    @counterpart(name)
    def make(shape, hidden_size, output="sequence", **fields):
        made = getattr(nn, path)(shape[2], hidden_size, batch_first=True, **fields)

        def call(forward, x):
            states, ends = forward(x)
            ends = ends[0] if isinstance(ends, tuple) else ends
            last = ends[-2 if made.bidirectional else -1 :]
            return states if output == "sequence" else torch.cat([*last], -1)

        return _calling(made, call)


_recurrent("rnn", "RNN")
_recurrent("gru", "GRU")
_recurrent("lstm", "LSTM")


def _later(time: int, causal: bool) -> Any:
    """Return the mask of what comes later, or none."""
    return torch.triu(torch.ones(time, time, dtype=torch.bool), 1) if causal else None


@counterpart("multi_head_attention")
def _multi_head_attention(shape, *others, num_heads, causal=False, bias=True):
    key, value = others[0] if others else shape, others[-1] if others else shape
    made = nn.MultiheadAttention(
        shape[2], num_heads, bias=bias, kdim=key[2], vdim=value[2], batch_first=True
    )
    mask = _later(shape[1], causal)

    def call(forward, x, *others):
        key, value = others[0] if others else x, others[-1] if others else x
        return forward(x, key, value, attn_mask=mask, need_weights=False)[0]

    return _calling(made, call)


def _block(cls: Any, width: int, num_heads: int, mlp_ratio: float, pre_norm: bool) -> Any:
    inner = round(mlp_ratio * width)
    options = {"norm_first": pre_norm, "activation": "gelu", "dropout": 0.0}
    return cls(width, num_heads, inner, batch_first=True, **options)


@counterpart("transformer_block")
def _transformer_block(shape, num_heads, mlp_ratio=4.0, pre_norm=True, causal=False):
    made = _block(nn.TransformerEncoderLayer, shape[2], num_heads, mlp_ratio, pre_norm)
    mask = _later(shape[1], causal)
    return _calling(made, lambda forward, x: forward(x, src_mask=mask))


@counterpart("transformer_decoder_block")
def _transformer_decoder_block(shape, memory, num_heads, mlp_ratio=4.0, pre_norm=True, causal=True):
    made = _block(nn.TransformerDecoderLayer, shape[2], num_heads, mlp_ratio, pre_norm)
    mask = _later(shape[1], causal)
    return _calling(made, lambda forward, x, memory: forward(x, memory, tgt_mask=mask))
