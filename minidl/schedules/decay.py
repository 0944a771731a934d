"""Schedules that lower the learning rate as training goes on."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

from minidl.schedules.base import Schedule, schedule


@schedule("constant")
class Constant(Schedule):
    """The learning rate as it is: factor 1 in every step."""

    def factor(self, step: int, total: int) -> float:
        return 1.0


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


@schedule("multistep")
class MultiStep(Schedule):
    """A factor ``gamma`` less at each milestone: gamma^(number of milestones ≤ step).

    Attributes
    ----------
    milestones : list of int
        Numbers of training steps (batches, not epochs), rising; one given twice counts twice.
    gamma : float
        What the learning rate is multiplied by at each, above 0.
    """

    milestones: Annotated[list[Annotated[int, Ge(1)]], MinLen(1)]
    gamma: Annotated[float, Gt(0)] = 0.1

    def check_fields(self) -> None:
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"milestones must rise, got {self.milestones}")

    def factor(self, step: int, total: int) -> float:
        return self.gamma ** bisect_right(self.milestones, step)


@schedule("exponential")
class Exponential(Schedule):
    """The same factor in every step: gamma^step.

    Attributes
    ----------
    gamma : float
        What the learning rate is multiplied by in each training step (batch, not epoch), in
        (0, 1]: 0.999 halves it in 693 steps.
    """

    gamma: Annotated[float, Gt(0), Le(1)]

    def factor(self, step: int, total: int) -> float:
        return self.gamma**step


@schedule("polynomial")
class Polynomial(Schedule):
    """A power of what is left of the run: min_factor + (1 − min_factor) (1 − step / total)^power.

    Attributes
    ----------
    power : float
        Above 0; 1 falls in a straight line.
    min_factor : float
        Where it ends, in [0, 1].
    """

    power: Annotated[float, Gt(0)] = 1.0
    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int) -> float:
        left = max(1 - step / total, 0.0)
        return self.min_factor + (1 - self.min_factor) * left**self.power


@schedule("linear")
class Linear(Schedule):
    """A straight line from 1 to where it ends: 1 − (1 − min_factor) step / total.

    Attributes
    ----------
    min_factor : float
        Where it ends, in [0, 1].
    """

    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int) -> float:
        return 1 - (1 - self.min_factor) * min(step / total, 1.0)
