"""Metrics of the order that predictions put samples in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from minidl.errors import ShapeError
from minidl.graph import Tensor
from minidl.losses.base import label_of
from minidl.metrics.base import metric, ratio
from minidl.metrics.classification import OfClasses


@metric("auc")
class AUC(OfClasses):
    """Area under the ROC curve: how often a positive has a larger score than a negative.

    Of all pairs of a positive and a negative, equal scores counting half: the statistic of
    Wilcoxon, Mann and Whitney (Hanley and McNeil 1982). It is exact, and so keeps the score of
    every sample of a part. Predictions are logits of yes or no, one or several a sample, or of
    two classes, (batch, ..., 2), of which 1 is yes. NaN where one of the two is missing or a
    score is NaN.

    Attributes
    ----------
    average : {"macro", "micro", "none"}
        Of several questions: the mean of the areas of those that have both answers; or the area
        of all answers together; or a list with the area of each, which is written to the metrics
        of a run but cannot decide which weights are best.
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    average: Literal["macro", "micro", "none"] = "macro"

    @property
    def better(self) -> str:  # type: ignore[override]
        """Higher, unless the result is a list."""
        return "" if self.average == "none" else "higher"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self.is_yes_or_no(prediction, target):
            scores, yes, kept = self.yes_or_no(prediction, target)
        else:
            logits, classes, kept = self.positions(prediction, target)
            if logits.shape[-1] != 2:
                raise ShapeError(
                    f"{label_of(self)}: takes two classes, not the {logits.shape[-1]} of "
                    f"predictions of shape {prediction.shape}; for a question of yes or no each, "
                    f"set multilabel = true"
                )
            wide = logits.astype("float64")  # in which the difference makes no new ties
            scores = (wide[:, 1] - wide[:, 0]).reshape((-1, 1))
            yes = (classes == 1).reshape((-1, 1))
            kept = None if kept is None else kept.reshape((-1, 1))
        label = yes.astype("int64")
        if kept is not None:
            label = label - 2 * (~kept).astype("int64")  # below 0 where ignored
        return scores, label

    def merge(self, total: Sequence[Any], batch: Sequence[Any]) -> Sequence[Any]:
        return [*total, *batch]

    def result(self, total: Sequence[Any]) -> float | list[Any]:
        # columns of (score, label): those of each question
        columns = list(zip(*map(_columns, total[0::2], total[1::2]), strict=True))
        questions = [list(itertools.chain.from_iterable(parts)) for parts in columns]
        if self.average == "micro":
            return _area(itertools.chain.from_iterable(questions))
        areas = [_area(pairs) for pairs in questions]
        if self.average == "none":
            return areas
        known = [area for area in areas if not math.isnan(area)]
        return ratio(sum(known), len(known))


def _columns(scores: Any, labels: Any) -> list[list[tuple[float, float]]]:
    """Return for each question the score and the label of each sample."""
    pairs = zip(scores.T.tolist(), labels.T.tolist(), strict=True)
    return [list(zip(*pair, strict=True)) for pair in pairs]


def _area(pairs: Iterable[tuple[float, float]]) -> float:
    """Return the area of (score, label); those with a label below 0 do not count."""
    known = [pair for pair in pairs if pair[1] >= 0]
    if any(math.isnan(score) for score, _ in known):
        return math.nan
    won, negatives, positives = 0.0, 0, 0
    for _, tied in itertools.groupby(sorted(known), key=lambda pair: pair[0]):
        group = [label for _, label in tied]
        yes = int(sum(group))
        no = len(group) - yes
        won += yes * (negatives + 0.5 * no)
        negatives, positives = negatives + no, positives + yes
    return won / (positives * negatives) if positives and negatives else math.nan
