"""Averages over batches: loss and metrics of what was seen since the last reset."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.metrics import Metric

_MOST_AS_TEXT = 1000
"""More numbers than these are written as bytes: text would take four times the space."""


class Measured(NamedTuple):
    """What is known of a batch after a step.

    Attributes
    ----------
    loss : float
    total, weight : float
        Summed over batches, the one divided by the other is their loss.
    statistics : list of list of numpy.ndarray
        Of each metric.
    """

    loss: float
    total: float
    weight: float
    statistics: Sequence[Sequence[np.ndarray]]


class Meter:
    """Collects the loss and the statistics of metrics batch by batch.

    The loss of several batches is that of one batch of all their samples; where a loss is a sum
    and no mean, it is divided by the number of samples.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._total = 0.0
        self._weight = 0.0
        self._batches = 0
        self._totals: list[Any] = [None] * len(self.metrics)

    def add(self, batch: Measured) -> None:
        """Add what is known of a batch."""
        self._total += batch.total
        self._weight += batch.weight
        self._batches += 1
        for index, (metric, found) in enumerate(zip(self.metrics, batch.statistics, strict=True)):
            values = metric.reduce([np.asarray(value, dtype=np.float64) for value in found])
            total = self._totals[index]
            self._totals[index] = values if total is None else metric.merge(total, values)

    def result(self) -> dict[str, Any]:
        """Return the mean loss and each metric by its name; a few are lists of numbers."""
        if not self._batches:
            return {}
        results: dict[str, Any] = {"loss": self._total / self._weight if self._weight else 0.0}
        for metric, total in zip(self.metrics, self._totals, strict=True):
            results[metric.label] = metric.result(total)
        return results

    def to_dict(self) -> dict[str, Any]:
        """Return what was seen, so that it can be stored as JSON."""
        totals = [None if total is None else _packed(total) for total in self._totals]
        sums = {"total": self._total, "weight": self._weight, "batches": self._batches}
        return {**sums, "totals": totals}

    def restore(self, stored: dict[str, Any]) -> None:
        """Take back what :meth:`to_dict` returned."""
        self._total, self._weight = stored["total"], stored["weight"]
        self._batches = stored["batches"]
        self._totals = [None if total is None else _unpacked(total) for total in stored["totals"]]


def _packed(arrays: Sequence[Any]) -> Any:
    """Return arrays of float64 as a value that JSON has."""
    arrays = [np.asarray(array, dtype="<f8") for array in arrays]
    if sum(array.size for array in arrays) <= _MOST_AS_TEXT:
        return [array.tolist() for array in arrays]
    held = zlib.compress(b"".join(array.tobytes() for array in arrays), level=1)
    shapes = [list(array.shape) for array in arrays]
    return {"shapes": shapes, "zlib": base64.b64encode(held).decode()}


def _unpacked(value: Any) -> list[np.ndarray]:
    """Return the arrays that :func:`_packed` was given, bit for bit."""
    if isinstance(value, list):
        return [np.asarray(array, dtype=np.float64) for array in value]
    held, start, arrays = zlib.decompress(base64.b64decode(value["zlib"])), 0, []
    for shape in value["shapes"]:
        array = np.ndarray(shape, "<f8", held, start)
        arrays.append(array.astype(np.float64))
        start += array.nbytes
    return arrays
