"""Lion: steps of one size, in the direction of a sign."""

from __future__ import annotations

from collections.abc import Mapping

from minidl import ops
from minidl.graph import Spec, Tensor
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import LearningRate, NotNegative, Share
from minidl.optimizers.sgd import decayed


@optimizer("lion")
class Lion(Optimizer):
    """Lion, as published: every element moves by lr in each step.

    p ← p · (1 − lr · weight_decay)
    p ← p − lr · sign(β1 · m + (1 − β1) · g)
    m ← β2 · m + (1 − β2) · g

    Chen et al., "Symbolic discovery of optimization algorithms", 2023, which advises a lr 3 to 10
    times smaller, and a weight decay 3 to 10 times larger, than those of ``adamw``. The slot
    holds m / (1 − β2).

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    betas : tuple of float
        Shares β1 of m in the direction and β2 of m that is kept, each in [0, 1).
    weight_decay : float
        Share of each value that is taken off it in a step, times lr; at least 0.
    """

    lr: LearningRate = 1e-4
    betas: tuple[Share, Share] = (0.9, 0.99)
    weight_decay: NotNegative = 0.0

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        return {"momentum": parameter}

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        beta1, beta2 = self.betas
        lr = lr.astype(parameter.dtype)
        momentum = slots["momentum"]
        # a sign does not change with a positive factor, so that of g is divided away
        direction = ops.sign((beta1 * (1 - beta2) / (1 - beta1)) * momentum + gradient)
        moved = decayed(parameter, lr, self.weight_decay) - lr * direction
        return moved, {"momentum": beta2 * momentum + gradient}
