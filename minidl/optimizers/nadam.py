"""Nadam: Adam that looks one step of momentum ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping

from minidl import ops
from minidl.graph import Spec, Tensor
from minidl.optimizers.adam import correction
from minidl.optimizers.base import Optimizer, optimizer
from minidl.optimizers.fields import LearningRate, NotNegative, Share
from minidl.optimizers.sgd import decayed

_LOG_DECAY = math.log(0.96)


@optimizer("nadam")
class Nadam(Optimizer):
    """Nadam, by the formulas of PyTorch.

    g ← g + weight_decay · p                      (decoupled: p ← p · (1 − lr · weight_decay))
    μ_t = β1 · (1 − ½ · 0.96^(t · momentum_decay))        Π_t = μ_1 · μ_2 ⋯ μ_t
    m ← β1 · m + (1 − β1) · g        m̂ = μ_(t+1) · m / (1 − Π_(t+1)) + (1 − μ_t) · g / (1 − Π_t)
    v ← β2 · v + (1 − β2) · g²       v̂ = v / (1 − β2^t)
    p ← p − lr · m̂ / (√v̂ + eps)

    Dozat, "Incorporating Nesterov momentum into Adam", 2016. The slots hold m / (1 − β1),
    v / (1 − β2) and the number 1 − Π_t.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    betas : tuple of float
        Shares β1 and β2 of the moments that are kept, each in [0, 1).
    eps : float
        Keeps the denominator from 0.
    momentum_decay : float
        How soon μ rises from β1 / 2 to β1; at least 0.
    decoupled_weight_decay : bool
        Take weight decay off the parameter, as ``adamw`` does, not through the gradient.
    weight_decay : float
        L2 penalty, or with decoupled_weight_decay the share that is taken off; at least 0.
    """

    lr: LearningRate = 2e-3
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: NotNegative = 1e-8
    momentum_decay: NotNegative = 4e-3
    decoupled_weight_decay: bool = False
    weight_decay: NotNegative = 0.0

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        number = Spec((), "float64" if parameter.dtype == "float64" else "float32")
        return {"first_moment": parameter, "second_moment": parameter, "momentum_share": number}

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        beta1, beta2 = self.betas
        dtype = parameter.dtype
        if self.decoupled_weight_decay:
            parameter = decayed(parameter, lr.astype(dtype), self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        first = beta1 * slots["first_moment"] + gradient
        second = beta2 * slots["second_moment"] + ops.square(gradient)
        now, ahead = self._momentum(step), self._momentum(step + 1)
        share = slots["momentum_share"]  # 1 − Π, in which no digit is lost while Π is near 1
        share = (1 - now) + share * now.astype(share.dtype)
        next_share = (1 - ahead) + share * ahead
        # √v̂ + eps is √(1 − β2) / root · (√V + floor); every factor of the step is one number
        root = ops.sqrt(correction(beta2, step))
        rate = lr * root / math.sqrt(1 - beta2)
        of_gradient = (rate * (1 - now) / share).astype(dtype)
        of_first = (rate * (1 - beta1) * ahead / next_share).astype(dtype)
        floor = (self.eps / math.sqrt(1 - beta2) * root).astype(dtype)
        direction = of_gradient * gradient + of_first * first
        moved = parameter - direction / (ops.sqrt(second) + floor)
        kept = {"first_moment": first, "second_moment": second, "momentum_share": share}
        return moved, kept

    def _momentum(self, step: Tensor) -> Tensor:
        return self.betas[0] * (1 - 0.5 * ops.exp(step * (self.momentum_decay * _LOG_DECAY)))
