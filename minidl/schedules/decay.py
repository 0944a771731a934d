"""Schedules that lower the learning rate as training goes on."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt, Le

from minidl.schedules.base import Schedule, schedule


@schedule("constant")
class Constant(Schedule):
    """The learning rate as it is: factor 1 in every step."""

    def factor(self, step: int, total: int) -> float:
        return 1.0


@schedule("cosine")
class Cosine(Schedule):
    """Half a cosine from 1 down to ``min_factor``, after a linear rise.

    In the first ``warmup_steps`` steps the factor is (step + 1) / warmup_steps. Then

        min_factor + (1 − min_factor) · ½ (1 + cos(π t)),
        t = (step − warmup_steps) / (total − warmup_steps)

    which is 1 at t = 0 and would be min_factor in the step after the last. Loshchilov and
    Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without restarts.

    Attributes
    ----------
    min_factor : float
        Where it ends, in [0, 1].
    warmup_steps : int
        How many steps it rises, at least 0.
    """

    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0
    warmup_steps: Annotated[int, Ge(0)] = 0

    def factor(self, step: int, total: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        t = min((step - self.warmup_steps) / max(total - self.warmup_steps, 1), 1.0)
        return self.min_factor + (1 - self.min_factor) * 0.5 * (1 + math.cos(math.pi * t))


@schedule("step")
class Step(Schedule):
    """A factor ``gamma`` less each time ``every`` steps are done: gamma^⌊step / every⌋.

    Attributes
    ----------
    every : int
        Number of training steps (batches, not epochs), at least 1.
    gamma : float
        What the learning rate is multiplied by each time, above 0.
    """

    every: Annotated[int, Ge(1)]
    gamma: Annotated[float, Gt(0)] = 0.1

    def factor(self, step: int, total: int) -> float:
        return self.gamma ** (step // self.every)
