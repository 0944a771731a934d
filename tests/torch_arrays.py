"""What PyTorch calls each array function: the base of the table that :mod:`torch_ops` fills.

It can be read without PyTorch: names are looked up, and functions run, where it is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = F = None

OPS: dict[str, str | Callable[..., Any]] = {
    **{
        name: name
        for name in (
            *("abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "ceil"),
            *("copysign", "cos", "cosh", "divide", "erf", "exp", "expm1", "floor"),
            *("greater", "greater_equal", "hypot", "isfinite", "isinf", "isnan"),
            *("less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logical_and"),
            *("logical_not", "logical_or", "logical_xor", "matmul", "maximum", "minimum"),
            *("multiply", "negative", "not_equal", "positive", "pow", "reciprocal", "relu"),
            *("remainder", "reshape", "round", "sigmoid", "sign", "signbit", "sin", "sinh"),
            *("sqrt", "square", "subtract", "tan", "tanh", "trunc", "where"),
        )
    },
    **{
        name: f"nn.functional.{name}"
        for name in (
            *(f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2)),
            *("avg_pool1d", "avg_pool2d", "conv_transpose1d"),
            *("conv_transpose2d", "cosine_similarity", "elu", "gelu", "glu", "hardswish"),
            *("interpolate", "kl_div", "leaky_relu", "max_pool1d", "max_pool2d", "mish"),
            *("pairwise_distance", "selu", "silu", "softplus"),
        )
    },
    **{name: name for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "outer")},
    **{name: name for name in ("bitwise_left_shift", "bitwise_right_shift")},
    "bitwise_invert": "bitwise_not",
    "equal": "eq",
    "gelu_erf": "nn.functional.gelu",
    "huber": "nn.functional.huber_loss",
    "mae": "nn.functional.l1_loss",
    "mse": "nn.functional.mse_loss",
    "ndtri": "special.ndtri",
    "permute_dims": "permute",
    "smooth_l1": "nn.functional.smooth_l1_loss",
    "vecdot": "linalg.vecdot",
    "triplet_margin": "nn.functional.triplet_margin_loss",
}
"""Each op that PyTorch has, with the path of PyTorch's function, or with a function of the op's
own signature that calls it. For a path, ``axis`` and ``keepdims`` are renamed."""

_OF_A_KEY = "draws are a function of a key here, of the state of a generator there"

NO_COUNTERPART: dict[str, str] = {
    "constant": "its value is given, not computed",
    "placeholder": "its value is given, not computed",
    "bernoulli": _OF_A_KEY,
    "dropout": _OF_A_KEY,
    "normal": _OF_A_KEY,
    "normal_from_bits": _OF_A_KEY,
    "random_bits": _OF_A_KEY,
    "random_key": _OF_A_KEY,
    "uniform": _OF_A_KEY,
    "uniform_from_bits": _OF_A_KEY,
    "gru_steps_gradient": "the gradient of gru_steps, compared with it",
    "lstm_steps_gradient": "the gradient of lstm_steps, compared with it",
    "rnn_steps_gradient": "the gradient of rnn_steps, compared with it",
    "max_pool2d_gradient": "the gradient of max_pool2d, compared with it",
    "max_pool2d_take": "the gradient of max_pool2d_gradient, which PyTorch gives no name",
    "sum_pool2d_gradient": "the gradient of sum_pool2d, compared with it",
    "norm_gradient": "the gradient of standardize, compared with it",
    "unslice": "the gradient of slice, compared with it",
    "averaging_matrix": "a part of adaptive_avg_pool2d, compared with it",
    "interpolation_matrix": "a part of interpolate, compared with it",
    "log_band_recurrence": "a part of ctc, compared with it",
    "band_recurrence": "the gradient of log_band_recurrence, compared with ctc",
    "ravel_index": "a part of getitem, compared with it",
    "in_range": "PyTorch checks indices and lengths within what takes them",
    "batch_hard_triplet": "PyTorch leaves the choice of triplets to its user",
    "rope": "PyTorch has no rotary positions",
    "sinusoidal_positions": "PyTorch has no positions of sines",
}
"""Each op that PyTorch does not have, and why, or where it is compared all the same."""

CONSTANTS: dict[str, tuple[int, ...]] = {"batch_norm": (1, 2)}
"""Inputs by which the op has a gradient and PyTorch has none: given statistics."""

BEFORE: dict[str, str] = {"ctc": "log_softmax"}
"""What both sides apply to the first input: PyTorch's gradient of CTC is that by the logits, by
whatever way the log probabilities came from them."""


def function(name: str) -> Callable[..., Any]:
    """Return what PyTorch computes for the op ``name``, called as the op is."""
    found = OPS[name]
    if callable(found):
        return found
    of_torch = attrgetter(found)(torch)
    renamed = {"axis": "dim", "axes": "dims", "keepdims": "keepdim"}

    def call(*tensors: Any, **attributes: Any) -> Any:
        return of_torch(*tensors, **{renamed.get(k, k): v for k, v in attributes.items()})

    return call


def counterpart(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into the table."""

    def enter(rule: Callable[..., Any]) -> Callable[..., Any]:
        OPS[name] = rule
        return rule

    return enter


# -- numbers ---------------------------------------------------------------------------------


@counterpart("astype")
def _astype(x, dtype):
    return x.to(getattr(torch, dtype))


@counterpart("clip")
def _clip(x, min=None, max=None):
    return x.clone() if min is max is None else torch.clip(x, min, max)


@counterpart("floor_divide")
def _floor_divide(a, b):
    return torch.div(a, b, rounding_mode="floor")  # whose namesake has no derivative


@counterpart("stop_gradient")
def _stop_gradient(x):
    return x.detach()


# -- reductions --------------------------------------------------------------------------------


def _reduction(name: str, path: str, **defaults: Any) -> None:
    """Enter a reduction over any axes, by PyTorch's over one: to PyTorch no axes are all."""

    @counterpart(name)
    def reduce(x, axis=None, keepdims=False, **options):
        axes = axes_of(x, axis)
        z = getattr(torch, path)(rows_of(x, axes), -1, **{**defaults, **options})
        if x.dtype is torch.uint8:
            z = z.to(torch.uint64)  # the array API standard sums unsigned integers as such
        return z.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else z


for _name in ("all", "any", "count_nonzero", "logsumexp", "mean", "prod", "sum"):
    _reduction(_name, _name)
_reduction("max", "amax")  # of equal maxima each receives a share, which max does not do
_reduction("min", "amin")
_reduction("std", "std", correction=0)
_reduction("var", "var", correction=0)


def axes_of(x, axis):
    """Return the axes that ``axis`` names, counted from the front."""
    given = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return [i % x.ndim for i in given]


def rows_of(x, axes):
    """Return ``x`` with ``axes`` as its one last axis."""
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = [*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axes)]
    return x.permute([*kept, *axes]).reshape(shape)


@counterpart("argmax")
def _argmax(x, axis=None, keepdims=False):
    return torch.argmax(x, axis, keepdims)


@counterpart("argmin")
def _argmin(x, axis=None, keepdims=False):
    return torch.argmin(x, axis, keepdims)


@counterpart("cumulative_sum")
def _cumulative_sum(x, axis=None, include_initial=False):
    return _running(torch.cumsum, 0, x, axis or 0, include_initial)


@counterpart("cumulative_prod")
def _cumulative_prod(x, axis=None, include_initial=False):
    return _running(torch.cumprod, 1, x, axis or 0, include_initial)


def _running(function, initial, x, axis, include_initial):
    if include_initial:
        x = torch.cat([x.new_full([*x.shape[:axis], 1, *x.shape[axis + 1 :]], initial), x], axis)
    return function(x, axis)


@counterpart("diff")
def _diff(x, axis=-1, n=1, prepend=None, append=None):
    prepend, append = (
        None if given is None else torch.as_tensor(given, dtype=x.dtype)
        for given in (prepend, append)
    )
    return torch.diff(x, n, axis, prepend, append)


# -- searching and sorting ---------------------------------------------------------------------


@counterpart("argsort")
def _argsort(x, axis=-1, descending=False, stable=True):
    return torch.argsort(x, dim=axis, descending=descending, stable=True)


@counterpart("sort")
def _sort(x, axis=-1, descending=False, stable=True):
    return torch.sort(x, dim=axis, descending=descending, stable=True).values


@counterpart("isin")
def _isin(x1, x2, invert=False):
    return torch.isin(x1, x2, invert=invert)


@counterpart("searchsorted")
def _searchsorted(x1, x2, side="left"):
    return torch.searchsorted(x1, x2, side=side)


# -- shapes ------------------------------------------------------------------------------------


@counterpart("broadcast_arrays")
def _broadcast_arrays(*arrays):
    return torch.broadcast_tensors(*arrays)


@counterpart("broadcast_to")
def _broadcast_to(x, shape):
    return torch.broadcast_to(x, shape)


@counterpart("concat")
def _concat(*arrays, axis=0):
    return torch.cat(arrays, axis)


@counterpart("expand_dims")
def _expand_dims(x, axis=0):
    axes = (axis,) if isinstance(axis, int) else axis
    for place in sorted(i % (x.ndim + len(axes)) for i in axes):
        x = torch.unsqueeze(x, place)
    return x


@counterpart("flip")
def _flip(x, axis=None):
    return torch.flip(x, axes_of(x, axis))


@counterpart("matrix_transpose")
def _matrix_transpose(x):
    return x.mT


@counterpart("moveaxis")
def _moveaxis(x, source, destination):
    return torch.moveaxis(x, source, destination)


@counterpart("pad")
def _pad(x, pad_width, value=0.0):
    return F.pad(x, sides(np.broadcast_to(pad_width, (x.ndim, 2)).tolist()), value=value)


@counterpart("pad_circular")
def _pad_circular(x, pad_width):
    return F.pad(x, sides(pad_width), mode="circular")


@counterpart("pad_reflect")
def _pad_reflect(x, pad_width):
    return F.pad(x, sides(pad_width), mode="reflect")


@counterpart("pad_replicate")
def _pad_replicate(x, pad_width):
    return F.pad(x, sides(pad_width), mode="replicate")


@counterpart("repeat")
def _repeat(x, repeats, axis=None):
    repeats = repeats if isinstance(repeats, int) else torch.tensor(repeats)
    return torch.repeat_interleave(x, repeats, axis)


@counterpart("roll")
def _roll(x, shift, axis=None):
    return torch.roll(x, shift, axis)


def sides(pairs: Sequence[Sequence[int]]) -> list[int]:
    """Return what is before and after as PyTorch takes it: the last axis first, of as few."""
    first = next((i for i, pair in enumerate(pairs) if any(pair)), len(pairs))
    return [side for pair in reversed(pairs[first:]) for side in pair]


@counterpart("split")
def _split(x, parts, axis=0):
    if isinstance(parts, int):
        return torch.tensor_split(x, parts, axis)
    return torch.split(x, list(parts), axis)


@counterpart("squeeze")
def _squeeze(x, axis):
    return torch.squeeze(x, axis)


@counterpart("stack")
def _stack(*arrays, axis=0):
    return torch.stack(arrays, axis)


@counterpart("tile")
def _tile(x, repetitions):
    return torch.tile(x, (repetitions,) if isinstance(repetitions, int) else repetitions)


@counterpart("tril")
def _tril(x, k=0):
    return torch.tril(x, k)


@counterpart("triu")
def _triu(x, k=0):
    return torch.triu(x, k)


@counterpart("unstack")
def _unstack(x, axis=0):
    return torch.unbind(x, axis)


# -- indexing ----------------------------------------------------------------------------------


@counterpart("getitem")
def _getitem(x, key):
    keys = key if isinstance(key, tuple) else (key,)
    return x[tuple(_forward(each, x, axis) for axis, each in enumerate(keys))]


def _forward(key, x, axis):
    """Return indices for a slice that runs backwards, for which PyTorch has no slice."""
    backwards = isinstance(key, slice) and (key.step or 1) < 0
    return [*range(*key.indices(x.shape[axis]))] if backwards else key


@counterpart("one_hot")
def _one_hot(indices, num_classes, axis=-1, dtype="float32"):
    hot = F.one_hot(torch.as_tensor(indices), num_classes)
    return hot.movedim(-1, axis).to(getattr(torch, dtype))


@counterpart("scatter_add")
def _scatter_add(x, indices, shape, axis):
    flat = (torch.as_tensor(indices) % shape[axis]).reshape(-1)
    rows = x.reshape(*shape[:axis], len(flat), *shape[axis + 1 :])
    return x.new_zeros(shape).index_add(axis, flat, rows)


@counterpart("slice")
def _slice(x, ranges):
    for axis, (start, stop, step) in enumerate(ranges):
        x = torch.index_select(x, axis, torch.tensor([*range(start, stop, step)], dtype=int))
    return x


@counterpart("take")
def _take(x, indices, axis=None):
    axis = (axis or 0) % x.ndim
    indices = torch.as_tensor(indices) % x.shape[axis]
    shape = [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]]
    return torch.index_select(x, axis, indices.reshape(-1)).reshape(shape)


@counterpart("take_along_axis")
def _take_along_axis(x, indices, axis=-1):
    return torch.take_along_dim(x, torch.as_tensor(indices).long() % x.shape[axis], axis)


# -- creation ----------------------------------------------------------------------------------


@counterpart("arange")
def _arange(start, stop=None, step=1, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    if (stop - start) * step < 0:
        return torch.arange(0)  # PyTorch refuses a range that has no elements
    return torch.arange(start, stop, step, dtype=dtype and getattr(torch, dtype))


@counterpart("eye")
def _eye(n_rows, n_cols=None, k=0, dtype="float32"):
    ones = torch.ones(n_rows, n_cols or n_rows, dtype=getattr(torch, dtype))
    return torch.triu(torch.tril(ones, k), k)


@counterpart("full")
def _full(shape, fill_value, dtype="float32"):
    return torch.full(shape, fill_value, dtype=getattr(torch, dtype))


@counterpart("full_like")
def _full_like(x, fill_value, dtype=None):
    return torch.full_like(x, fill_value, dtype=dtype and getattr(torch, dtype))


@counterpart("meshgrid")
def _meshgrid(*arrays, indexing="xy"):
    if len(arrays) == 1:  # of which PyTorch knows no exchange
        return torch.meshgrid(*arrays, indexing="ij")
    return torch.meshgrid(*arrays, indexing=indexing)


@counterpart("linspace")
def _linspace(start, stop, num, dtype="float32", endpoint=True):
    steps = num if endpoint else num + 1
    return torch.linspace(start, stop, steps, dtype=getattr(torch, dtype))[:num]


@counterpart("ones")
def _ones(shape, dtype="float32"):
    return torch.ones(shape, dtype=getattr(torch, dtype))


@counterpart("ones_like")
def _ones_like(x, dtype=None):
    return torch.ones_like(x, dtype=dtype and getattr(torch, dtype))


@counterpart("zeros")
def _zeros(shape, dtype="float32"):
    return torch.zeros(shape, dtype=getattr(torch, dtype))


@counterpart("zeros_like")
def _zeros_like(x, dtype=None):
    return torch.zeros_like(x, dtype=dtype and getattr(torch, dtype))
