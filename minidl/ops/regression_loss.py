"""Losses of numbers: how far predictions are from targets."""

from __future__ import annotations

from minidl.errors import GraphError, ShapeError
from minidl.graph.node import Tensor
from minidl.graph.op import Draw, op, sample
from minidl.graph.spec import Spec, promote
from minidl.ops.elementwise import clip, square

_REDUCTIONS = ("mean", "sum", "none")
_PAIR = (Draw((3, 4)), Draw((3, 4), -2.0, 2.0))
_APART = (Draw((3, 4), -2.0, -0.6), Draw((3, 4), -0.4, 2.0))


@op(
    "squared_error",
    autocast="float32",
    floating=True,
    notation="0.5 * Σ((p - t) ** 2)",
    samples=[
        sample((2,), (2,)),
        sample((3, 4), (3, 4), reduction="mean"),
        sample((3, 4), (3, 4), reduction="none"),
        sample((), ()),
    ],
)
class squared_error:
    """The quadratic loss, with its ½.

    z = ½ Σ (p − t)²

    Parameters
    ----------
    p, t : Tensor
        Prediction and target, of one shape.
    reduction : {"sum", "mean", "none"}
        "mean" divides by the number of elements; "none" is ½ (p − t)² for each.
    """

    def normalize(p, t, /, *, reduction="sum"):
        check_reduction(reduction)
        return {"reduction": reduction}

    def infer(p, t, /, *, reduction="sum"):
        check_same_shape(p, t)
        return Spec(p.shape if reduction == "none" else (), promote((p.dtype, t.dtype)))

    def forward(xp, p, t, *, reduction):
        difference = p - t
        halves = 0.5 * (difference * difference)
        if reduction == "none":
            return halves
        return xp.sum(halves) if reduction == "sum" else xp.mean(halves)

    def backward(g, z, p, t, *, reduction):
        if reduction == "mean":
            g = g / p.size
        return g * (p - t), g * (t - p)


@op("mse", samples=[sample(*_PAIR), sample(*_PAIR, reduction="sum"), sample((), ())])
class mse:
    """Mean squared error.

    z = mean (p − t)²

    Parameters
    ----------
    p, t : Tensor
        Prediction and target, of one shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    """

    def compose(p, t, /, *, reduction="mean"):
        check_pair(p, t, reduction)
        return reduced(square(p - t), reduction)


@op(
    "mae",
    kink="at p = t the gradient is 0",
    samples=[sample(*_APART), sample(*_APART, reduction="sum"), sample(*_APART, reduction="none")],
)
class mae:
    """Mean absolute error.

    z = mean |p − t|

    Parameters
    ----------
    p, t : Tensor
        Prediction and target, of one shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    """

    def compose(p, t, /, *, reduction="mean"):
        check_pair(p, t, reduction)
        return reduced(abs(p - t), reduction)


@op(
    "huber",
    kink="at |p − t| = delta the gradient is ±delta from both sides; its own gradient jumps",
    samples=[
        sample(Draw((3, 4), -0.4, 0.4), Draw((3, 4), -0.4, 0.4)),
        sample(*_APART, delta=0.1, reduction="sum"),
        sample(*_PAIR, delta=5.0, reduction="none"),
    ],
)
class huber:
    """Huber's loss: quadratic near the target, linear far from it (Huber 1964).

    z = mean of  ½ d²  where |d| ≤ delta,  delta · (|d| − ½ delta)  elsewhere,  with d = p − t

    It is computed as c · (d − ½ c), c being d clipped to [−delta, delta], which has the right
    derivatives everywhere.

    Parameters
    ----------
    p, t : Tensor
        Prediction and target, of one shape.
    delta : float
        Above 0.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    """

    def compose(p, t, /, *, delta=1.0, reduction="mean"):
        check_pair(p, t, reduction)
        if not delta > 0:
            raise GraphError(f"delta must be above 0, not {delta}")
        difference = p - t
        clipped = clip(difference, -float(delta), float(delta))
        return reduced(clipped * (difference - 0.5 * clipped), reduction)


@op(
    "smooth_l1",
    kink="at |p − t| = beta the gradient is ±1 from both sides; its own gradient jumps",
    samples=[
        sample(Draw((3, 4), -0.4, 0.4), Draw((3, 4), -0.4, 0.4)),
        sample(*_APART, beta=0.1, reduction="sum"),
        sample(*_PAIR, beta=5.0, reduction="none"),
    ],
)
class smooth_l1:
    """Absolute error that is quadratic near the target (Girshick, "Fast R-CNN", 2015).

    z = mean of  ½ d² / beta  where |d| ≤ beta,  |d| − ½ beta  elsewhere,  with d = p − t

    It is ``huber`` with delta = beta, divided by beta.

    Parameters
    ----------
    p, t : Tensor
        Prediction and target, of one shape.
    beta : float
        Above 0.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    """

    def compose(p, t, /, *, beta=1.0, reduction="mean"):
        check_pair(p, t, reduction)
        if not beta > 0:
            raise GraphError(f"beta must be above 0, not {beta}; at 0 it is mae")
        return huber(p, t, delta=beta, reduction=reduction) / float(beta)


def reduced(values: Tensor, reduction: str) -> Tensor:
    """Return the mean or the sum of losses, or each of them."""
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def check_reduction(reduction: str) -> None:
    """Raise GraphError if there is no such reduction."""
    if reduction not in _REDUCTIONS:
        raise GraphError(f"unknown reduction '{reduction}' (known: mean, sum, none)")


def check_same_shape(p: Spec | Tensor, t: Spec | Tensor) -> None:
    """Raise ShapeError if a prediction and its target differ in shape."""
    if p.shape != t.shape:
        raise ShapeError(
            f"prediction and target must have one shape, not {p.shape} and {t.shape}; "
            f"a loss does not broadcast"
        )


def check_pair(p: Tensor, t: Tensor, reduction: str) -> None:
    """Do what ``check_reduction`` and ``check_same_shape`` do."""
    check_reduction(reduction)
    check_same_shape(p, t)
