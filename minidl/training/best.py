"""Which validation result is the best so far: receives one an epoch, says whether to go on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minidl.errors import ConfigError, suggestion
from minidl.metrics import Metric

if TYPE_CHECKING:
    from minidl.config import TrainingConfig


class Best:
    """The best validation result of a run, and for how many epochs there was no better one.

    Parameters
    ----------
    training : TrainingConfig
        ``best_metric``, ``min_delta`` and ``patience``.
    metrics : sequence of Metric
        What is measured beside the loss.

    Attributes
    ----------
    metric : str
        What decides: by default the first metric that is a number, else the loss.
    entry : dict, optional
        ``metric``, ``value``, ``step`` and ``epoch`` of the best result.
    stale_epochs : int

    Raises
    ------
    ConfigError
        If ``best_metric`` is none of what is measured.
    """

    def __init__(self, training: TrainingConfig, metrics: Sequence[Metric]) -> None:
        better = directions(metrics)
        self.metric = training.best_metric or list(better)[min(1, len(better) - 1)]
        if self.metric in (metric.label for metric in metrics if not metric.better):
            raise ConfigError(
                f"[training] best_metric '{self.metric}' is no single number, so it cannot tell "
                f"which weights are best; choose one of {', '.join(better)}"
            )
        if self.metric not in better:
            raise ConfigError(
                f"[training] best_metric '{self.metric}' is not measured (measured are: "
                f"{', '.join(better)}){suggestion(self.metric, better)}"
            )
        self._sign = 1 if better[self.metric] == "higher" else -1
        self._min_delta = training.min_delta
        self._patience = training.patience
        self.entry: dict[str, Any] | None = None
        self.stale_epochs = 0

    def judge(self, results: Mapping[str, float], step: int, epoch: int) -> bool:
        """Return whether these results are the best, and remember them if they are."""
        value = results[self.metric]
        is_best = self._is_better(value)
        self.stale_epochs = 0 if is_best else self.stale_epochs + 1
        if is_best:
            self.entry = {"metric": self.metric, "value": value, "step": step, "epoch": epoch}
        return is_best

    @property
    def out_of_patience(self) -> bool:
        """Whether ``patience`` epochs went by without a new best."""
        return self._patience is not None and self.stale_epochs >= self._patience

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        return {"entry": self.entry, "stale_epochs": self.stale_epochs}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Take back what :meth:`to_dict` returned."""
        self.entry, self.stale_epochs = stored["entry"], stored["stale_epochs"]

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        return self.entry is None or self._sign * (value - self.entry["value"]) > self._min_delta


def directions(metrics: Sequence[Metric]) -> dict[str, str]:
    """Return whether ``higher`` or ``lower`` is better, for the loss and each that is a number."""
    return {"loss": "lower", **{metric.label: metric.better for metric in metrics if metric.better}}
