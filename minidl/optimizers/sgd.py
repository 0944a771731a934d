"""Gradient descent, with momentum or without."""

from __future__ import annotations

from collections.abc import Mapping

from minidl.graph import Spec, Tensor
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import NotNegative, Share


@optimizer("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent, by the formulas of PyTorch.

    g ← g + weight_decay · p
    v ← momentum · v + (1 − dampening) · g        (v ← g in the first step)
    p ← p − lr · v                                (Nesterov: p ← p − lr · (g + momentum · v))

    Without momentum, p ← p − lr · g and nothing is kept. Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    momentum : float
        Share of the last velocity v that is kept, in [0, 1).
    dampening : float
        Share of the gradient that does not enter v, in [0, 1).
    nesterov : bool
        Look one step of momentum ahead; takes momentum above 0 and no dampening.
    weight_decay : float
        L2 penalty, at least 0.
    """

    momentum: Share = 0.0
    dampening: Share = 0.0
    nesterov: bool = False
    weight_decay: NotNegative = 0.0

    def check_fields(self) -> None:
        super().check_fields()
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                f"nesterov takes momentum above 0 and dampening 0, "
                f"got momentum {self.momentum} and dampening {self.dampening}"
            )

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        return {"velocity": parameter} if self.momentum else {}

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        lr = lr.astype(parameter.dtype)
        if not self.momentum:
            return decayed(parameter, lr, self.weight_decay) - lr * gradient, {}
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        entering = gradient
        if self.dampening:
            later = (step > 1).astype(parameter.dtype)
            entering = (1 - self.dampening * later) * gradient
        velocity = self.momentum * slots["velocity"] + entering
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - lr * direction, {"velocity": velocity}


def decayed(parameter: Tensor, lr: Tensor, weight_decay: float) -> Tensor:
    """Return p · (1 − lr · weight_decay)."""
    return parameter * (1 - lr * weight_decay) if weight_decay else parameter
