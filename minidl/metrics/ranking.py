"""Metrics of the order that predictions put samples in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from minidl.errors import ShapeError
from minidl.graph import Tensor
from minidl.losses.base import label_of
from minidl.metrics.base import metric
from minidl.metrics.classification import OfClasses, is_binary, yes_or_no


@metric("auc")
class AUC(OfClasses):
    """Area under the ROC curve: how often a positive has a larger score than a negative.

    Of all pairs of a positive and a negative, equal scores counting half: the statistic of
    Wilcoxon, Mann and Whitney (Hanley and McNeil 1982). It is exact, and so keeps the score of
    every sample of a part. Predictions are logits of yes or no, (batch,) or (batch, 1), or of two
    classes, (batch, ..., 2), of which 1 is yes. NaN where one of
    the two is missing or a score is NaN.

    Attributes
    ----------
    axis : int
        The axis of the classes.
    ignore_index : int, optional
        Positions whose target this is do not count.
    """

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if is_binary(prediction, target):
            if prediction.ndim > 1 and prediction.shape[1:] != (1,):
                raise ShapeError(
                    f"{label_of(self)}: takes one logit a sample, (batch,) or (batch, 1), or two "
                    f"classes with integer targets, not predictions of shape {prediction.shape} "
                    f"with targets of shape {target.shape}"
                )
            scores, yes, kept = yes_or_no(self, prediction, target)
        else:
            logits, classes, kept = self.positions(prediction, target)
            if logits.shape[-1] != 2:
                raise ShapeError(
                    f"{label_of(self)}: takes two classes, not the {logits.shape[-1]} of "
                    f"predictions of shape {prediction.shape}"
                )
            wide = logits.astype("float64")  # in which the difference makes no new ties
            scores, yes = wide[:, 1] - wide[:, 0], classes == 1
        label = yes.astype("int64")
        if kept is not None:
            label = label - 2 * (~kept).astype("int64")  # below 0 where ignored
        return scores.reshape((-1,)), label.reshape((-1,))

    def merge(self, total: Sequence[Any], batch: Sequence[Any]) -> Sequence[Any]:
        return [*total, *batch]

    def result(self, total: Sequence[Any]) -> float:
        scores = itertools.chain.from_iterable(part.tolist() for part in total[0::2])
        labels = itertools.chain.from_iterable(part.tolist() for part in total[1::2])
        known = [pair for pair in zip(scores, labels, strict=True) if pair[1] >= 0]
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
