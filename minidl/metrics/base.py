"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from minidl.component import C, Component, component
from minidl.graph import Tensor


class Metric(Component):
    """A number that tells how good predictions are. Declare one with :func:`metric`.

    Attributes
    ----------
    better : {"higher", "lower"}
        Which direction is an improvement.
    """

    kind = "metric"
    better: ClassVar[str] = "higher"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Return, in graph values, what must be known of a batch: scalars or small arrays.

        ``prediction`` is the network's raw output. They run inside the traced program.
        """
        raise NotImplementedError

    def merge(self, total: Sequence[float], batch: Sequence[float]) -> Sequence[float]:
        """Join the statistics of what was seen with those of one more batch; default the sum."""
        return [a + b for a, b in zip(total, batch, strict=True)]

    def result(self, total: Sequence[float]) -> float:
        """Return the metric from the statistics of all batches."""
        raise NotImplementedError


def metric(name: str) -> Callable[[C], C]:
    """Declare a metric and register it under ``name``."""
    return component("metric", name)
