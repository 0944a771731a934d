"""Losses of probabilities: ops that stay finite for any logits."""

from __future__ import annotations

from typing import Any

from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.graph.leaves import tensor
from minidl.graph.node import Tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import (
    INTEGERS,
    Spec,
    broadcast_shapes,
    is_float,
    normalize_axis,
    promote,
)
from minidl.ops.activation import log_softmax, sigmoid, softmax
from minidl.ops.elementwise import exp, log, where
from minidl.ops.indexing import one_hot, take
from minidl.ops.regression_loss import check_pair, check_reduction, check_same_shape, reduced
from minidl.ops.shape import expand_dims


@op(
    "softmax_cross_entropy",
    autocast="float32",
    floating=True,
    samples=[
        sample((3, 4), Draw((3, 4), 0.1, 1.0)),
        sample((2, 3, 2), Draw((2, 3, 2), 0.1, 1.0), axis=1),
        sample((4,), Draw((4,), 0.1, 1.0)),
        sample((0, 3), Draw((0, 3), 0.1, 1.0)),
    ],
)
class softmax_cross_entropy:
    """Cross entropy of the probabilities t with the softmax of the logits x, along an axis.

    z = − Σ t log softmax(x)  =  Σ t · log Σ e^(x − max x)  +  Σ t · (max x − x)

    No term of the second form is negative, so nothing cancels. A class with t = 0 counts as 0
    even where its logit is −∞.

    Parameters
    ----------
    x, t : Tensor
        Logits and weights, of one shape; the weights need not sum to 1.
    axis : int
        The classes; the result has no such axis.
    """

    def normalize(x, t, /, *, axis=-1):
        return {"axis": normalize_axis(axis, x.ndim)}

    def infer(x, t, /, *, axis=-1):
        check_same_shape(x, t)
        if not x.shape[axis]:
            raise ShapeError(f"axis {axis} of shape {x.shape} holds no classes")
        return Spec(x.shape[:axis] + x.shape[axis + 1 :], promote((x.dtype, t.dtype)))

    def forward(xp, x, t, *, axis):
        below = xp.max(x, axis=axis, keepdims=True) - x
        log_sum = xp.log(xp.sum(xp.exp(-below), axis=axis))
        missed = xp.where(t == 0, xp.zeros_like(t), t * below)
        return xp.sum(t, axis=axis) * log_sum + xp.sum(missed, axis=axis)

    def backward(g, z, x, t, *, axis):
        g = expand_dims(g, axis=axis)
        total = t.sum(axis=axis, keepdims=True)
        to_logits = g * (total * softmax(x, axis=axis) - t)
        return to_logits, -(g * log_softmax(x, axis=axis))


@op(
    "cross_entropy",
    samples=[
        sample((3, 4), Draw((3,), 0, 4, dtype="int64")),
        sample((3, 4), Draw((3, 4), 0.1, 1.0), reduction="sum"),
        sample((2, 3, 2), Draw((2, 2), 0, 3, dtype="int64"), reduction="none"),
        sample((3, 4), Draw((3,), 0, 4, dtype="int64"), label_smoothing=0.1),
        sample((2, 2, 3), Draw((2, 2), 0, 3, dtype="int64"), axis=-1),
        sample((4,), 2),
        sample((2, 3, 2), [[2, -100], [-100, 0]], ignore_index=-100),
        sample((3, 4), [3, 0, 1], weight=(0.5, 1.0, 2.0, 0.25), label_smoothing=0.1),
        sample((3, 4), Draw((3, 4), 0.1, 1.0), weight=(0.5, 1.0, 2.0, 0.25)),
    ],
)
class cross_entropy:
    """Cross entropy of class targets with the softmax of the logits.

    z = − Σ t log softmax(x), t being 1 for the target class and 0 for the others

    Parameters
    ----------
    logits : Tensor
        (N, C), or (N, C, d₁, …) as in PyTorch, or (C,).
    target : Tensor
        Class indices, integers in the shape of ``logits`` without its class axis; or
        probabilities, floats in the shape of ``logits``. On ``numpy`` an index that is no class
        is a DataError when the program runs; on other backends its loss is 0.
    weight : sequence of float or Tensor (C,), optional
        Weight of each class: t becomes w t, after smoothing.
    ignore_index : int, optional
        Samples with this index have loss 0 and do not count in the mean. PyTorch's default is
        -100; here every index must be a class unless one is named.
    label_smoothing : float
        From 0 to below 1: t becomes (1 − ε) t + ε / C (Szegedy et al. 2016).
    reduction : {"mean", "sum", "none"}
        Over all samples, ``d₁ …`` included. With class indices the mean is weighted: it divides
        by the sum of the weights of the targets that count; it is 0 if none does.
    axis : int, optional
        The class axis. Default 1, or 0 for logits of one axis.
    """

    def compose(
        logits,
        target,
        /,
        *,
        weight=None,
        ignore_index=None,
        label_smoothing=0.0,
        reduction="mean",
        axis=None,
    ):
        check_reduction(reduction)
        if not 0 <= label_smoothing < 1:
            raise GraphError(
                f"label_smoothing must be at least 0 and below 1, not {label_smoothing}"
            )
        _require_floats(logits, "logits")
        axis = _class_axis(logits, axis)
        target, kept = _without_ignored(target, ignore_index)
        weights = _class_weights(logits, target, axis, logits.dtype)
        if label_smoothing:
            spread = label_smoothing / logits.shape[axis]
            weights = weights * (1.0 - label_smoothing) + spread
        own = None
        if weight is not None:
            weight = _weight_of_classes(weight, logits, axis)
            weights = weights * weight.reshape((-1,) + (1,) * (logits.ndim - axis - 1))
            own = _own_weight(weight, target)
        losses = softmax_cross_entropy(logits, weights, axis=axis)
        return _reduce_counted(losses, kept, own, reduction)


@op(
    "nll",
    samples=[
        sample((3, 4), Draw((3,), 0, 4, dtype="int64")),
        sample((2, 3, 2), [[2, -1], [-1, 0]], ignore_index=-1, reduction="sum"),
        sample((3, 4), [3, 0, 1], weight=(0.5, 1.0, 2.0, 0.25)),
        sample((2, 2, 3), Draw((2, 2), 0, 3, dtype="int64"), axis=-1, reduction="none"),
    ],
)
class nll:
    """Negative log likelihood of class indices, from log probabilities.

    z = − mean of w_k · x_k, k being the target class

    With ``log_softmax`` before it this is ``cross_entropy``.

    Parameters
    ----------
    x : Tensor
        Log probabilities: (N, C), (N, C, d₁, …) or (C,).
    target : Tensor
        Class indices, in the shape of ``x`` without its class axis.
    weight, ignore_index, reduction, axis
        As of ``cross_entropy``.
    """

    def compose(x, target, /, *, weight=None, ignore_index=None, reduction="mean", axis=None):
        check_reduction(reduction)
        _require_floats(x, "log probabilities")
        axis = _class_axis(x, axis)
        if target.dtype not in INTEGERS:
            raise DtypeError(f"targets are class indices (integers), not {target.dtype}")
        target, kept = _without_ignored(target, ignore_index)
        hot = _class_weights(x, target, axis, "bool")
        # not a product with 0 and 1: a class of probability 0 has the logarithm −∞
        losses = -where(hot, x, 0.0).sum(axis=axis)
        own = None
        if weight is not None:
            own = _own_weight(_weight_of_classes(weight, x, axis), target)
            losses = losses * own
        return _reduce_counted(losses, kept, own, reduction)


@op(
    "kl_div",
    kink="where t = 0 the term counts as 0, and its gradient by t is −x",
    samples=[
        sample((3, 4), Draw((3, 4), 0.1, 1.0)),
        sample((3, 4), (3, 4), log_target=True, reduction="batchmean"),
        sample((2, 3, 2), Draw((2, 3, 2), 0.1, 1.0), reduction="none"),
        sample((4,), Draw((4,), 0.1, 1.0), reduction="sum"),
    ],
)
class kl_div:
    """Kullback–Leibler divergence of the probabilities t from those whose logarithms x are.

    z = mean of t · (log t − x)

    Parameters
    ----------
    x : Tensor
        Log probabilities.
    t : Tensor
        Probabilities, in the shape of ``x``.
    log_target : bool
        ``t`` holds log probabilities too: z = mean of e^t · (t − x).
    reduction : {"mean", "batchmean", "sum", "none"}
        "mean" divides by the number of elements, "batchmean" by the length of the first axis,
        which gives the divergence of a sample.
    """

    def compose(x, t, /, *, log_target=False, reduction="mean"):
        check_pair(x, t, "sum" if reduction == "batchmean" else reduction)
        if log_target:
            values = exp(t) * (t - x)
        else:
            safe = where(t > 0, t, 1.0)
            values = t * (log(safe) - x)
        if reduction == "batchmean":
            return values.sum() / (x.shape[0] if x.ndim else 1)
        return reduced(values, reduction)


@op(
    "sigmoid_cross_entropy",
    autocast="float32",
    elementwise=True,
    floating=True,
    scalar="maximum(x, 0) - x * t + log1p(exp(-abs(x)))",
    domains=((-4.0, 4.0), (0.0, 1.0)),
)
class sigmoid_cross_entropy:
    """Cross entropy of the probability t with the sigmoid of the logit x.

    z = − t log σ(x) − (1 − t) log(1 − σ(x))  =  max(x, 0) − x t + log(1 + e^−|x|)
    """

    def forward(xp, x, t):
        positive = xp.where(x > 0, x, xp.zeros_like(x))
        return positive - x * t + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(g, z, x, t):
        return g * (sigmoid(x) - t), -(g * x)


@op(
    "binary_cross_entropy_with_logits",
    samples=[
        sample((3, 4), Draw((3, 4), 0.0, 1.0)),
        sample((3,), Draw((3,), 0, 2, dtype="int64"), reduction="sum"),
        sample((3,), Draw((3,), 0.0, 1.0), reduction="none"),
        sample((3, 2), Draw((3, 2), 0.0, 1.0), pos_weight=(0.5, 3.0)),
        sample((3, 2), Draw((3, 2), 0.0, 1.0), pos_weight=2.0),
    ],
)
class binary_cross_entropy_with_logits:
    """Cross entropy of yes-or-no targets with the sigmoid of the logits.

    z = max(x, 0) − x t + log(1 + e^−|x|)

    With pos_weight w it is w · t · log(1 + e^−x) + (1 − t) · log(1 + e^x).

    Parameters
    ----------
    logits, target : Tensor
        Of one shape; targets are booleans, 0 and 1, or probabilities.
    pos_weight : float, sequence of float or Tensor, optional
        What a positive counts against a negative; broadcasts against the logits.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    """

    def compose(logits, target, /, *, pos_weight=None, reduction="mean"):
        check_pair(logits, target, reduction)
        if pos_weight is None:
            return reduced(sigmoid_cross_entropy(logits, target), reduction)
        dtype = logits.dtype if is_float(logits.dtype) else "float32"
        weight = tensor(pos_weight, dtype)
        if not _broadcasts(weight.shape, logits.shape):
            raise ShapeError(
                f"pos_weight of shape {weight.shape} does not broadcast to logits of "
                f"shape {logits.shape}"
            )
        t = target.astype(dtype) if target.dtype != dtype else target
        positive, negative = sigmoid_cross_entropy(logits, 1.0), sigmoid_cross_entropy(logits, 0.0)
        return reduced(weight * t * positive + (1.0 - t) * negative, reduction)


def _reduce_counted(losses, kept, own, reduction):
    """Reduce losses of which some are ignored; a mean divides by the weights that count."""
    if kept is not None:
        losses = where(kept, losses, 0.0)
    if reduction != "mean" or (kept is None and own is None):
        return reduced(losses, reduction)
    if own is not None:
        total = (own if kept is None else where(kept, own, 0.0)).sum()
    else:
        total = kept.sum().astype(losses.dtype)
    return losses.sum() / (total + (total == 0).astype(total.dtype))


def _without_ignored(target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor | None]:
    """Return the targets with class 0 in place of ignored ones, and which are kept."""
    if ignore_index is None:
        return target, None
    if target.dtype not in INTEGERS:
        raise DtypeError(
            f"ignore_index goes with class indices (integers), not with targets of {target.dtype}"
        )
    indices = target if target.dtype == "int64" else target.astype("int64")
    kept = indices != ignore_index
    return where(kept, indices, 0), kept


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return broadcast_shapes(shape, to) == to
    except ShapeError:
        return False


def _weight_of_classes(weight: Any, logits: Tensor, axis: int) -> Tensor:
    classes = logits.shape[axis]
    weight = tensor(weight, logits.dtype)
    if weight.shape != (classes,):
        raise ShapeError(
            f"weight of shape {weight.shape} does not fit {classes} classes; "
            f"it must be of shape ({classes},)"
        )
    return weight


def _own_weight(weight: Tensor, target: Tensor) -> Tensor | None:
    """Return the weight of each target's class; None for probabilities."""
    return take(weight, target) if target.dtype in INTEGERS else None


def _class_axis(logits: Tensor, axis: int | None) -> int:
    if axis is None:
        axis = 0 if logits.ndim == 1 else 1
    return normalize_axis(axis, logits.ndim)


def _require_floats(scores: Tensor, what: str) -> None:
    if not is_float(scores.dtype):
        raise DtypeError(f"{what} must be floats, not {scores.dtype}")


def _class_weights(logits: Tensor, target: Tensor, axis: int, dtype: str) -> Tensor:
    """Return the target as a weight for each class; made of class indices, in ``dtype``."""
    samples = logits.shape[:axis] + logits.shape[axis + 1 :]
    if target.dtype in INTEGERS:
        if target.shape == samples:
            classes = logits.shape[axis]
            return one_hot(target, classes, axis=axis, dtype=dtype)
        wanted, kind = samples, "class indices"
    elif is_float(target.dtype):
        if target.shape == logits.shape:
            return target
        wanted, kind = logits.shape, "probabilities"
    else:
        raise DtypeError(
            f"targets are class indices (integers) or probabilities (floats), not {target.dtype}"
        )
    raise ShapeError(
        f"logits of shape {logits.shape} take {kind} of shape {wanted}, not {target.shape}"
    )
