"""Metrics for values: prediction and target have one shape, (batch, ...)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidl import ops
from minidl.graph import Tensor, tensor
from minidl.losses.base import check_quantities
from minidl.metrics.base import Metric, metric


class _MeanError(Metric):
    """Base of metrics that are a mean over samples and outputs."""

    better = "lower"

    def result(self, total: Sequence[Any]) -> float:
        summed, count = total
        return float(summed / count)


@metric("mae")
class MeanAbsoluteError(_MeanError):
    """Mean distance: Σ |h_i − y_i| / n, over samples and outputs."""

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        error = prediction - check_quantities(self, prediction, target)
        return abs(error).sum(), tensor(error.size)


@metric("mse")
class MeanSquaredError(_MeanError):
    """Mean of squares: Σ (h_i − y_i)² / n, over samples and outputs."""

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        error = prediction - check_quantities(self, prediction, target)
        return ops.square(error).sum(), tensor(error.size)


@metric("rmse")
class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of squares, √(Σ (h_i − y_i)² / n), over samples and outputs.

    The root is taken once, of the mean over the whole part.
    """

    def result(self, total: Sequence[Any]) -> float:
        return math.sqrt(super().result(total))


@metric("r2")
class R2(Metric):
    """Share of the targets' variance that is explained: 1 − Σ (y − h)² / Σ (y − ȳ)².

    Several outputs are measured each for itself and averaged. Where a target is constant the
    score is 1 if the predictions are exact and 0 otherwise, as in scikit-learn.

    A batch leaves its count, mean and sum of squared deviations; they are joined by the formula
    of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing sample
    variances", 1979), so a variance of 1 around a mean of 1e5 survives.
    """

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        wanted = check_quantities(self, prediction, target).astype("float64")
        errors = ops.square(prediction.astype("float64") - wanted).sum(axis=0)
        mean = wanted.mean(axis=0)
        spread = ops.square(wanted - mean).sum(axis=0)
        return tensor(target.shape[0]), mean, spread, errors

    def merge(self, total: Sequence[Any], batch: Sequence[Any]) -> Sequence[Any]:
        count_a, mean_a, spread_a, errors_a = total
        count_b, mean_b, spread_b, errors_b = batch
        count = count_a + count_b
        shift = mean_b - mean_a
        mean = mean_a + shift * (count_b / count)
        spread = spread_a + spread_b + shift**2 * (count_a * count_b / count)
        return [count, mean, spread, errors_a + errors_b]

    def result(self, total: Sequence[Any]) -> float:
        _, _, spread, errors = total
        pairs = zip(errors.reshape(-1).tolist(), spread.reshape(-1).tolist(), strict=True)
        scores = [_score(error, deviation) for error, deviation in pairs]
        return sum(scores) / len(scores)


def _score(errors: float, spread: float) -> float:
    if spread == 0:
        return 1.0 if errors == 0 else 0.0
    return 1 - errors / spread
