"""Schedules along a cosine."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from minidl.schedules.base import Schedule, schedule


@schedule("cosine")
class Cosine(Schedule):
    """Half a cosine from 1 down to ``min_factor``.

        min_factor + (1 − min_factor) · ½ (1 + cos(π · step / total))

    which is 1 in the first step and would be min_factor in the step after the last. Loshchilov
    and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without restarts.

    Attributes
    ----------
    min_factor : float
        Where it ends, in [0, 1].
    """

    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int) -> float:
        return _half_cosine(1.0, self.min_factor, min(step / total, 1.0))


@schedule("cosine_restarts")
class CosineRestarts(Schedule):
    """Half a cosine from 1 down to ``min_factor``, again and again.

    The first takes ``period`` steps, each further one ``multiplier`` times those of the one
    before. Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Attributes
    ----------
    period : int
        Number of training steps (batches, not epochs) to the first restart, at least 1.
    multiplier : int
        How many times longer each period is than the one before, at least 1.
    min_factor : float
        Where each ends, in [0, 1].
    """

    period: Annotated[int, Ge(1)]
    multiplier: Annotated[int, Ge(1)] = 1
    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int) -> float:
        period = self.period
        if self.multiplier == 1:
            step %= period
        while step >= period:
            step -= period
            period *= self.multiplier
        return _half_cosine(1.0, self.min_factor, step / period)


@schedule("one_cycle")
class OneCycle(Schedule):
    """A rise to the optimiser's ``lr`` and a fall far below where it began.

    From 1 / div_factor to 1 in the first pct_start of the run, and in the rest to
    1 / (div_factor · final_div_factor); with three_phase it falls to where it began in a phase as
    long as the rise, and then on. Steps are those of PyTorch. Smith and Topin, "Super-convergence:
    very fast training of neural networks using large learning rates", 2018; momentum is left
    as it is.

    Attributes
    ----------
    pct_start : float
        Share of the run in which it rises, in (0, 1); with three_phase below ½.
    anneal_strategy : {"cos", "linear"}
        Half a cosine, or a straight line, in each phase.
    div_factor : float
        How many times smaller than ``lr`` it begins, at least 1.
    final_div_factor : float
        How many times smaller than in the beginning it ends, at least 1.
    three_phase : bool
        Whether the fall has two phases.
    """

    pct_start: Annotated[float, Gt(0)] = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, Ge(1)] = 25.0
    final_div_factor: Annotated[float, Ge(1)] = 1e4
    three_phase: bool = False

    def check_fields(self) -> None:
        most = 0.5 if self.three_phase else 1.0
        if not self.pct_start < most:
            phases = "with three_phase " if self.three_phase else ""
            raise ValueError(f"{phases}pct_start must be below {most}, got {self.pct_start}")

    def factor(self, step: int, total: int) -> float:
        anneal = _half_cosine if self.anneal_strategy == "cos" else _straight
        low, begun = 1 / self.div_factor, 0.0
        lowest = low / self.final_div_factor
        peak = self.pct_start * total - 1
        ends = [(peak, low, 1.0), (total - 1.0, 1.0, lowest)]
        if self.three_phase:
            ends[1:] = [(2 * peak, 1.0, low), (total - 1.0, low, lowest)]
        for end, start, goal in ends:
            if step <= end:
                return anneal(start, goal, (step - begun) / (end - begun)) if end > begun else goal
            begun = end
        return lowest


def _half_cosine(start: float, goal: float, share: float) -> float:
    return goal + (start - goal) * 0.5 * (1 + math.cos(math.pi * share))


def _straight(start: float, goal: float, share: float) -> float:
    return start + (goal - start) * share
