"""Metrics of the order that predictions put samples in."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Literal

from minidl import ops
from minidl.graph import Tensor
from minidl.metrics.base import metric, ratio
from minidl.metrics.classification import OfClasses


@metric("auc")
class AUC(OfClasses):
    """Area under the ROC curve: how often a positive has a larger score than a negative.

    Of all pairs of a positive and a negative, equal scores counting half: the statistic of
    Wilcoxon, Mann and Whitney (Hanley and McNeil 1982). It is exact, and so keeps the score of
    every sample of a part. NaN where one of the two is missing or a score is NaN.

    - Logits of yes or no, one or several a sample, each for itself.
    - Logits of two classes, (batch, ..., 2), of which 1 is yes.
    - Logits of several classes: a question for each, this class or another (one against the
      rest), answered by its probability.

    Attributes
    ----------
    average : {"macro", "micro", "weighted", "none"}
        Of several questions: the mean of the areas of those that have both answers; or the area
        of all answers together; or the mean weighted by how often each is answered yes; or a list
        with the area of each, which is written to the metrics of a run but cannot decide which
        weights are best.
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    axes = ("class",)

    average: Literal["macro", "micro", "weighted", "none"] = "macro"

    @property
    def better(self) -> str:  # type: ignore[override]
        """Higher, unless the result is a list."""
        return "" if self.average == "none" else "higher"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Return scores and answers, (n, questions): 1 for yes, 0 for no, below 0 for neither."""
        if self.is_yes_or_no(prediction, target):
            scores, yes, kept = self.yes_or_no(prediction, target)
        else:
            logits, classes, kept = self.positions(prediction, target)
            count = logits.shape[-1]
            scores = ops.log_softmax(logits.astype("float64"), axis=-1)
            known = classes if kept is None else ops.where(kept, classes, 0)
            yes = ops.one_hot(known, count, dtype="bool")
            kept = None if kept is None else ops.expand_dims(kept, axis=1)
            if count == 2:
                scores, yes = scores[:, 1:] - scores[:, :1], yes[:, 1:]
        label = yes.astype("int64")
        if kept is not None:
            label = label - 2 * (~kept).astype("int64")
        return scores, label

    def merge(self, total: Sequence[Any], batch: Sequence[Any]) -> Sequence[Any]:
        kept = total if isinstance(total, list) else list(total)
        kept.extend(batch)  # in place: a part may have many batches
        return kept

    def result(self, total: Sequence[Any]) -> float | list[Any]:
        scores, labels = (_columns(total[i::2]) for i in (0, 1))
        if self.average == "micro":
            return _area(*(list(itertools.chain.from_iterable(c)) for c in (scores, labels)))
        areas = [_area(*question) for question in zip(scores, labels, strict=True)]
        if self.average == "none":
            return areas
        weights = [column.count(1) if self.average == "weighted" else 1 for column in labels]
        known = [(a, w) for a, w in zip(areas, weights, strict=True) if not math.isnan(a)]
        return ratio(sum(a * w for a, w in known), sum(w for _, w in known))


def _columns(batches: Sequence[Any]) -> list[list[float]]:
    """Return the columns of several arrays that stand one below the other."""
    parts = zip(*(batch.T.tolist() for batch in batches), strict=True)
    return [list(itertools.chain.from_iterable(part)) for part in parts]


def _area(scores: Sequence[float], labels: Sequence[float]) -> float:
    """Return how often a score of label 1 is above one of label 0; others do not count."""
    known = sorted(s for s, label in zip(scores, labels, strict=True) if label >= 0)
    yes = [s for s, label in zip(scores, labels, strict=True) if label == 1]
    pairs = len(yes) * (len(known) - len(yes))
    if not pairs or any(map(math.isnan, known)):
        return math.nan
    # twice the rank of each positive among all, equal ones sharing theirs
    ranks = sum(bisect_left(known, s) + bisect_right(known, s) + 1 for s in yes)
    return (ranks - len(yes) * (len(yes) + 1)) / 2 / pairs
