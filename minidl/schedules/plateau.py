"""A schedule that waits for validation results to stall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from minidl.schedules.base import Schedule, schedule


@schedule("reduce_on_plateau")
class ReduceOnPlateau(Schedule):
    """A factor ``gamma`` less each time the validation part stops getting better.

    When more than ``patience`` epochs in a row were no better than the best, the learning rate is
    multiplied by gamma. What is not a number is no better. By the rules of PyTorch's
    ReduceLROnPlateau.

    Attributes
    ----------
    metric : str
        ``"loss"``, or the name of a metric that the run measures; whether higher or lower is
        better is the metric's own.
    gamma : float
        What the learning rate is multiplied by each time, in (0, 1).
    patience : int
        How many epochs without progress are borne, at least 0.
    threshold : float
        How much better counts, at least 0.
    threshold_mode : {"rel", "abs"}
        Whether that is a share of the best value or a distance from it.
    cooldown : int
        Epochs after a reduction that do not count as bad, at least 0.
    min_factor : float
        Where it ends, in [0, 1].
    """

    metric: str = "loss"
    gamma: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = 10
    threshold: Annotated[float, Ge(0)] = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Annotated[int, Ge(0)] = 0
    min_factor: Annotated[float, Ge(0), Le(1)] = 0.0

    _factor: float = field(default=1.0, init=False)
    _best: float | None = field(default=None, init=False)
    _bad_epochs: int = field(default=0, init=False)
    _cooling: int = field(default=0, init=False)

    def factor(self, step: int, total: int) -> float:
        return self._factor

    @property
    def follows(self) -> str:
        return self.metric

    def measured(self, results: Mapping[str, float], better: Mapping[str, str]) -> None:
        value = results[self.metric]
        if self._is_better(value, better[self.metric] == "higher"):
            self._best, self._bad_epochs = value, 0
        else:
            self._bad_epochs += 1
        if self._cooling:
            self._cooling -= 1
            self._bad_epochs = 0
        if self._bad_epochs > self.patience:
            self._factor = max(self._factor * self.gamma, self.min_factor)
            self._cooling, self._bad_epochs = self.cooldown, 0

    def state(self) -> dict[str, Any]:
        return {
            "factor": self._factor,
            "best": self._best,
            "bad_epochs": self._bad_epochs,
            "cooling": self._cooling,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._factor, self._best = state["factor"], state["best"]
        self._bad_epochs, self._cooling = state["bad_epochs"], state["cooling"]

    def _is_better(self, value: float, higher: bool) -> bool:
        if value != value:
            return False
        if self._best is None:
            return True
        sign = 1 if higher else -1
        margin = self.threshold * (self._best if self.threshold_mode == "rel" else 1)
        # As PyTorch: a share of the best value, with its sign, on the side of what is better.
        return sign * value > sign * (self._best + sign * margin)
