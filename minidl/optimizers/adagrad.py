"""Optimisers that scale each element by the history of its gradients alone."""

from __future__ import annotations

from collections.abc import Mapping

from minidl import ops
from minidl.graph import Spec, Tensor
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import LearningRate, NotNegative, Positive, Share


@optimizer("adagrad")
class Adagrad(Optimizer):
    """Adagrad, by the formulas of PyTorch.

    g ← g + weight_decay · p
    s ← s + g²                                    (s begins at initial_accumulator_value)
    p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)

    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    lr_decay : float
        How the learning rate falls with the step t = 1, 2, …; at least 0.
    initial_accumulator_value : float
        Where s begins, at least 0; the slot holds what came on top of it.
    eps : float
        Keeps the denominator from 0.
    weight_decay : float
        L2 penalty, at least 0.
    """

    lr: LearningRate = 1e-2
    lr_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: NotNegative = 1e-10
    weight_decay: NotNegative = 0.0

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        return {"sum": parameter}

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
        if self.lr_decay:
            lr = lr / (1 + (step - 1) * self.lr_decay)
        total = slots["sum"] + ops.square(gradient)
        start = self.initial_accumulator_value
        root = ops.sqrt(total + start if start else total)
        moved = parameter - lr.astype(parameter.dtype) * (gradient / (root + self.eps))
        return moved, {"sum": total}


@optimizer("adadelta")
class Adadelta(Optimizer):
    """Adadelta, by the formulas of PyTorch.

    g ← g + weight_decay · p
    v ← rho · v + (1 − rho) · g²
    d = √(u + eps) / √(v + eps) · g
    u ← rho · u + (1 − rho) · d²
    p ← p − lr · d

    Zeiler, "Adadelta: an adaptive learning rate method", 2012. The slots hold v / (1 − rho) and
    u / (1 − rho), which saves passes over memory.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor; the paper has 1.
    rho : float
        Share of v and u that is kept, in [0, 1).
    eps : float
        How steps begin; above 0.
    weight_decay : float
        L2 penalty, at least 0.
    """

    lr: LearningRate = 1.0
    rho: Share = 0.9
    eps: Positive = 1e-6
    weight_decay: NotNegative = 0.0

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        return {"square": parameter, "step_square": parameter}

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
        floor = self.eps / (1 - self.rho)
        square = self.rho * slots["square"] + ops.square(gradient)
        before = slots["step_square"]
        change = ops.sqrt((before + floor) / (square + floor)) * gradient
        after = self.rho * before + ops.square(change)
        moved = parameter - lr.astype(parameter.dtype) * change
        return moved, {"square": square, "step_square": after}
