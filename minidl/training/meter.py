"""Averages over batches: loss and metrics of what was seen since the last reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.metrics import Metric


class Meter:
    """Collects the loss and the statistics of metrics batch by batch.

    The loss of several batches is their mean, weighted by the number of samples.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.samples = 0
        self._loss = 0.0
        self._totals: list[Any] = [None] * len(self.metrics)

    def add(self, samples: int, loss: float, statistics: Sequence[Sequence[Any]]) -> None:
        """Add a batch: its size, its loss and, for each metric, its statistics."""
        self.samples += samples
        self._loss += samples * loss
        for index, (metric, batch) in enumerate(zip(self.metrics, statistics, strict=True)):
            values = [np.asarray(value, dtype=np.float64) for value in batch]
            total = self._totals[index]
            self._totals[index] = values if total is None else metric.merge(total, values)

    def result(self) -> dict[str, Any]:
        """Return the mean loss and each metric by its name; a few are lists of numbers."""
        if not self.samples:
            return {}
        results: dict[str, Any] = {"loss": self._loss / self.samples}
        for metric, total in zip(self.metrics, self._totals, strict=True):
            results[metric.label] = metric.result(total)
        return results

    def to_dict(self) -> dict[str, Any]:
        """Return what was seen, so that it can be stored as JSON."""
        totals = [
            None if total is None else [np.asarray(value).tolist() for value in total]
            for total in self._totals
        ]
        return {"samples": self.samples, "loss": self._loss, "totals": totals}

    def restore(self, stored: dict[str, Any]) -> None:
        """Take back what :meth:`to_dict` returned."""
        self.samples = stored["samples"]
        self._loss = stored["loss"]
        self._totals = [
            None if total is None else [np.asarray(value, dtype=np.float64) for value in total]
            for total in stored["totals"]
        ]
