"""Adam and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field

from minidl import ops
from minidl.graph import Spec, Tensor
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import NotNegative, Share
from minidl.optimizers.sgd import decayed


class _Adam(Optimizer):
    """Base of Adam and AdamW, which differ in what weight decay is.

    The slots hold the moments without their factors (1 − β): M = m / (1 − β1), V = v / (1 − β2).
    Those factors, the bias corrections and the learning rate are scalars of the whole step, so
    folding them into two scalars leaves ten passes over a parameter's memory.
    """

    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: NotNegative = 1e-8
    amsgrad: bool = field(default=False, kw_only=True)

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        held = {"first_moment": parameter, "second_moment": parameter}
        return {**held, "largest_second_moment": parameter} if self.amsgrad else held

    def _adapt(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return p − lr · m̂ / (√v̂ + eps), and the slots."""
        beta1, beta2 = self.betas
        first = beta1 * slots["first_moment"] + gradient
        second = beta2 * slots["second_moment"] + ops.square(gradient)
        new = {"first_moment": first, "second_moment": second}
        if self.amsgrad:
            second = ops.maximum(slots["largest_second_moment"], second)
            new["largest_second_moment"] = second
        # With m̂ = s1 · M and v̂ = s2 · V, where s = (1 − β) / (1 − β^t),
        # lr · m̂ / (√v̂ + eps) = (lr · s1 / √s2) · M / (√V + eps / √s2)
        root = ops.sqrt(correction(beta2, step))
        rate = lr * ((1 - beta1) / math.sqrt(1 - beta2)) * root / correction(beta1, step)
        floor = (self.eps / math.sqrt(1 - beta2)) * root
        rate, floor = rate.astype(parameter.dtype), floor.astype(parameter.dtype)
        moved = parameter - rate * (first / (ops.sqrt(second) + floor))
        return moved, new


@optimizer("adam")
class Adam(_Adam):
    """Adam, by the formulas of PyTorch; weight decay is an L2 penalty.

    g ← g + weight_decay · p
    m ← β1 · m + (1 − β1) · g        m̂ = m / (1 − β1^t)
    v ← β2 · v + (1 − β2) · g²       v̂ = v / (1 − β2^t)
    p ← p − lr · m̂ / (√v̂ + eps)

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015. The slots hold
    m / (1 − β1) and v / (1 − β2).

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    betas : tuple of float
        Shares β1 and β2 of the moments that are kept, each in [0, 1).
    eps : float
        Keeps the denominator from 0.
    amsgrad : bool
        Whether v is the largest so far in place of the latest. Reddi, Kale and Kumar, "On the
        convergence of Adam and beyond", 2018.
    weight_decay : float
        L2 penalty, at least 0.
    """

    weight_decay: NotNegative = 0.0

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        return self._adapt(parameter, gradient, slots, lr, step)


@optimizer("adamw")
class AdamW(_Adam):
    """Adam with decoupled weight decay, by the formulas of PyTorch.

    p ← p · (1 − lr · weight_decay), then the step of ``adam`` without its penalty.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    betas : tuple of float
        Shares β1 and β2 of the moments that are kept, each in [0, 1).
    eps : float
        Keeps the denominator from 0.
    amsgrad : bool
        Whether v is the largest so far in place of the latest. Reddi, Kale and Kumar, "On the
        convergence of Adam and beyond", 2018.
    weight_decay : float
        Share of each value that is taken off it in a step, times lr; at least 0.
    """

    weight_decay: NotNegative = 0.01

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        kept = decayed(parameter, lr.astype(parameter.dtype), self.weight_decay)
        return self._adapt(kept, gradient, slots, lr, step)


def correction(beta: float, step: Tensor) -> Tensor:
    """Return 1 − β^step, to full precision where β is near 1."""
    return -ops.expm1(step * (math.log(beta) if beta else -math.inf))
