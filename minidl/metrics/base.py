"""What a metric is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, ClassVar

from minidl.component import C, Component, component, config_fields
from minidl.graph import Tensor
from minidl.losses import Loss


class Metric(Component):
    """A number that tells how good predictions are. Declare one with :func:`metric`.

    Attributes
    ----------
    better : {"higher", "lower", ""}
        Which direction is an improvement; empty where the result is no single number, so that it
        cannot decide which weights are best.
    axes : tuple of str
        What the axes of a result that is a list are called; each counts the classes.
    name : str
        What its result is called; default its type. Two of one type need it.
    """

    kind = "metric"
    common = ("name",)
    better: ClassVar[str] = "higher"
    axes: ClassVar[tuple[str, ...]] = ()

    name: str = field(default="", kw_only=True)

    @property
    def label(self) -> str:
        """What its result is called."""
        return self.name or self.type_name

    def suited_to(self, loss: Loss) -> Metric:
        """Return the metric that is measured beside ``loss``.

        A field that is None takes the value that the loss has under the same name (``axis``,
        ``ignore_index``), so that a config says it once.
        """
        given = {f.name: getattr(self, f.name) for f in config_fields(type(self))}
        taken = {k: getattr(loss, k, None) for k, value in given.items() if value is None}
        return type(self)(**{**given, **taken}) if taken else self

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Return, in graph values, what must be known of a batch: scalars or small arrays.

        ``prediction`` is the network's raw output. They run inside the traced program.

        Raises
        ------
        ShapeError, DtypeError
            If prediction and target do not fit together.
        """
        raise NotImplementedError

    def reduce(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Return what is kept of a batch; default its statistics as they are.

        For what a graph cannot compute. It receives one float64 array of the host for each value
        that :meth:`statistics` returns, 0-d for a scalar, and returns such arrays or numbers.
        """
        return batch

    def merge(self, total: Sequence[Any], batch: Sequence[Any]) -> Sequence[Any]:
        """Join what was seen with one more batch, both as :meth:`reduce` returns them.

        Default the sum of each.
        """
        return [a + b for a, b in zip(total, batch, strict=True)]

    def result(self, total: Sequence[Any]) -> float | list[Any]:
        """Return the metric from the statistics of all batches, joined.

        A number; where ``better`` is empty, a list of numbers or of such lists. NaN where nothing
        was seen that it could be measured by.
        """
        raise NotImplementedError


def ratio(part: Any, whole: Any) -> float:
    """Return part / whole as a number, NaN for nothing of nothing."""
    return float(part) / float(whole) if whole else math.nan


def metric(name: str) -> Callable[[C], C]:
    """Declare a metric and register it under ``name``."""
    return component("metric", name)
