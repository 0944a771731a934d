"""What PyTorch calls each op: the table from which the comparisons of ops are made, filled.

It can be read without PyTorch: names are looked up, and functions run, where it is there.
"""

from __future__ import annotations

from torch_arrays import (
    BEFORE,
    CONSTANTS,
    NO_COUNTERPART,
    OPS,
    axes_of,
    counterpart,
    function,
    rows_of,
    sides,
)

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = F = None

__all__ = ["BEFORE", "CONSTANTS", "NO_COUNTERPART", "OPS", "function"]

# -- activations -------------------------------------------------------------------------------


@counterpart("gelu_tanh")
def _gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


@counterpart("log_softmax")
def _log_softmax(x, axis=-1):
    return F.log_softmax(x, axis)


@counterpart("prelu")
def _prelu(x, a):
    x, a = torch.broadcast_tensors(x, a)
    return F.prelu(x.reshape(1, -1), a.reshape(-1)).reshape(x.shape)  # each place is a channel


@counterpart("softmax")
def _softmax(x, axis=-1):
    return F.softmax(x, axis)


@counterpart("swiglu")
def _swiglu(x, axis=-1):
    a, b = x.chunk(2, axis)
    return F.silu(a) * b


# -- products, convolution, pooling ------------------------------------------------------------


@counterpart("einsum")
def _einsum(*operands, subscripts):
    return torch.einsum(subscripts, *operands)


@counterpart("tensordot")
def _tensordot(x1, x2, axes=2):
    return torch.tensordot(x1, x2, dims=axes)


@counterpart("orthogonalize")
def _orthogonalize(x):
    tall = x if x.shape[0] >= x.shape[1] else x.mT
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    return q if tall is x else q.mT


@counterpart("conv1d")
def _conv1d(x, w, padding=0, **options):
    if isinstance(padding, tuple):
        x, padding = F.pad(x, padding[0]), 0
    return F.conv1d(x, w, padding=padding, **options)


@counterpart("conv2d")
def _conv2d(x, w, padding=0, **options):
    if isinstance(padding, tuple) and isinstance(padding[0], tuple):
        x, padding = F.pad(x, sides(padding)), 0
    return F.conv2d(x, w, padding=padding, **options)


@counterpart("conv2d_weight_gradient")
def _conv2d_weight_gradient(x, g, kernel_size, groups=1, **options):
    kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    size = (g.shape[1], x.shape[1] // groups, *kernel)
    return torch.nn.grad.conv2d_weight(x, size, g, groups=groups, **options)


@counterpart("sum_pool2d")
def _sum_pool2d(x, **options):
    return F.avg_pool2d(x, **options, divisor_override=1)


# -- normalisation -----------------------------------------------------------------------------


@counterpart("batch_norm")
def _batch_norm(x, mean, var, weight, bias, eps=1e-5):
    return F.batch_norm(x, mean, var, weight, bias, eps=eps)


@counterpart("group_norm")
def _group_norm(x, weight, bias, num_groups, eps=1e-5):
    return F.group_norm(x, num_groups, weight, bias, eps)


@counterpart("instance_norm")
def _instance_norm(x, weight, bias, eps=1e-5):
    if len(x) == 0:  # which PyTorch's instance norm does not take
        return F.group_norm(x, x.shape[1], weight, bias, eps)
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


@counterpart("layer_norm")
def _layer_norm(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, weight.shape, weight, bias, eps)


@counterpart("rms_norm")
def _rms_norm(x, weight, eps=None):
    return F.rms_norm(x, weight.shape, weight, eps)


@counterpart("standardize")
def _standardize(x, axis=-1, eps=1e-5, centred=True):
    axes = axes_of(x, axis)
    rows = rows_of(x, axes)
    norm = F.layer_norm if centred else F.rms_norm
    order = [*(i for i in range(x.ndim) if i not in axes), *axes]
    z = norm(rows, rows.shape[-1:], eps=eps).reshape([x.shape[i] for i in order])
    return z.permute([order.index(i) for i in range(x.ndim)])


# -- attention and recurrence ------------------------------------------------------------------


@counterpart("masked_softmax")
def _masked_softmax(x, mask, axis=-1):
    some = mask.broadcast_to(x.shape).any(axis, keepdim=True)  # PyTorch's softmax of none is NaN
    z = torch.softmax(torch.where(mask | ~some, x, -torch.inf), axis)
    return torch.where(mask, z, 0)


@counterpart("scaled_dot_product_attention")
def _scaled_dot_product_attention(query, key, value, attn_mask=None, **options):
    if isinstance(attn_mask, list):
        attn_mask = torch.tensor(attn_mask)
        attn_mask = attn_mask.to(query.dtype) if attn_mask.is_floating_point() else attn_mask
    return F.scaled_dot_product_attention(query, key, value, attn_mask, **options)


@counterpart("rnn_steps")
def _rnn_steps(x, weight, valid, start, nonlinearity="tanh"):
    cell = getattr(torch, f"rnn_{nonlinearity}_cell")
    return _states(lambda x, h, w: cell(x, h, w, weight), x, valid, start)


@counterpart("gru_steps")
def _gru_steps(x, weight, bias, valid, start):
    def cell(x, h, w):
        return torch.gru_cell(x, h, w, weight, torch.zeros_like(bias), bias)

    return _states(cell, x, valid, start)


@counterpart("lstm_steps")
def _lstm_steps(x, weight, valid, start):
    def cell(x, state, w):
        return torch.stack(torch.lstm_cell(x, [*state], w, weight))

    return _states(cell, x, valid, start)


def _states(cell, x, valid, start):
    """Return the state after each step, the one before where a step is not valid.

    The cells of PyTorch multiply their input by a weight, which is the identity here.
    """
    identity = torch.eye(x.shape[-1], dtype=x.dtype)
    states = [start]
    for step, keeps in zip(x, valid, strict=True):
        after = cell(step, states[-1], identity)
        states.append(torch.where(keeps[:, None], after, states[-1]))
    return torch.stack(states, -3)[..., 1:, :, :]


# -- losses ------------------------------------------------------------------------------------


@counterpart("binary_cross_entropy_with_logits")
def _binary_cross_entropy_with_logits(x, t, pos_weight=None, **options):
    weight = None if pos_weight is None else torch.as_tensor(pos_weight, dtype=x.dtype)
    t = t.to(x.dtype)
    return F.binary_cross_entropy_with_logits(x, t, pos_weight=weight, **options)


@counterpart("cross_entropy")
def _cross_entropy(x, target, **options):
    return _of_classes(F.cross_entropy, x, target, **options)


@counterpart("nll")
def _nll(x, target, **options):
    return _of_classes(F.nll_loss, x, target, **options)


def _of_classes(loss, x, target, axis=None, weight=None, ignore_index=None, **options):
    """Return a loss of classes, which PyTorch has along axis 1."""
    target = torch.as_tensor(target)
    if axis is not None and x.ndim > 1:
        x = x.movedim(axis, 1)
        target = target.movedim(axis, 1) if target.ndim == x.ndim else target
    if weight is not None:
        options["weight"] = torch.as_tensor(weight, dtype=x.dtype)
    if ignore_index is not None:
        options["ignore_index"] = ignore_index
    return loss(x, target, **options)


@counterpart("cosine_embedding")
def _cosine_embedding(x, y, t, **options):
    return F.cosine_embedding_loss(x, y, torch.as_tensor(t), **options)


@counterpart("ctc")
def _ctc(x, target, input_lengths, target_lengths, **options):
    return F.ctc_loss(x, target, input_lengths, target_lengths, **options)


@counterpart("sigmoid_cross_entropy")
def _sigmoid_cross_entropy(x, t):
    x, t = torch.broadcast_tensors(x, t)
    return F.binary_cross_entropy_with_logits(x, t, reduction="none")


@counterpart("softmax_cross_entropy")
def _softmax_cross_entropy(x, t, axis=-1):
    return _of_classes(F.cross_entropy, x, t, axis=axis, reduction="none")


@counterpart("squared_error")
def _squared_error(p, t, reduction="sum"):
    return 0.5 * F.mse_loss(p, t, reduction=reduction)
