"""RMSprop: steps divided by a running root mean square of the gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping

from minidl import ops
from minidl.graph import Spec, Tensor
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import LearningRate, NotNegative, Share


@optimizer("rmsprop")
class RMSprop(Optimizer):
    """RMSprop, by the formulas of PyTorch.

    g ← g + weight_decay · p
    v ← alpha · v + (1 − alpha) · g²
    a ← alpha · a + (1 − alpha) · g               (centered)
    d = g / (√v + eps)                            (centered: g / (√(v − a²) + eps))
    u ← momentum · u + d                          (without momentum: u = d)
    p ← p − lr · u

    Tieleman and Hinton, "Neural networks for machine learning", lecture 6.5, 2012; centered as
    in Graves, "Generating sequences with recurrent neural networks", 2013. The slots hold
    v / (1 − alpha), a / (1 − alpha) and u · √(1 − alpha), which saves passes over memory. Where
    rounding makes v − a² negative it counts as 0.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    alpha : float
        Share of v that is kept, in [0, 1).
    eps : float
        Keeps the denominator from 0.
    momentum : float
        Share of u that is kept, in [0, 1).
    centered : bool
        Divide by the deviation of the gradient, not by its root mean square.
    weight_decay : float
        L2 penalty, at least 0.
    """

    lr: LearningRate = 1e-2
    alpha: Share = 0.99
    eps: NotNegative = 1e-8
    momentum: Share = 0.0
    centered: bool = False
    weight_decay: NotNegative = 0.0

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        names = ["square"]
        names += ["mean"] if self.centered else []
        names += ["velocity"] if self.momentum else []
        return dict.fromkeys(names, parameter)

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
        entering = 1 - self.alpha
        square = self.alpha * slots["square"] + ops.square(gradient)
        kept, spread = {"square": square}, square
        if self.centered:
            mean = self.alpha * slots["mean"] + gradient
            kept["mean"] = mean
            spread = ops.maximum(square - entering * ops.square(mean), 0.0)
        # √v = √entering · √V, so a factor of the whole step takes √entering's place
        direction = gradient / (ops.sqrt(spread) + self.eps / math.sqrt(entering))
        if self.momentum:
            direction = self.momentum * slots["velocity"] + direction
            kept["velocity"] = direction
        rate = (lr / math.sqrt(entering)).astype(parameter.dtype)
        return parameter - rate * direction, kept
