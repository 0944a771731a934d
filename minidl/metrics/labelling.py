"""Metrics of labels in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor
from minidl.losses.base import label_of
from minidl.losses.classification import best_path
from minidl.metrics.base import Metric, metric, ratio


@metric("label_error_rate")
class LabelErrorRate(Metric):
    """How many labels must be put right for each that should be there: Σ distance / Σ labels.

    The distance is that of Levenshtein: the least number of labels put in, taken out or replaced
    that makes what was said what was wanted. Predictions are logits as of ``ctc``, of which the
    best path is taken; where labels are characters it is the character error rate, where they
    are words the word error rate. Above 1 where more is said than there is. Graves et al.,
    "Connectionist temporal classification", 2006.

    Attributes
    ----------
    blank : int, optional
        The class that stands for nothing; default that of the loss, or 0.
    """

    better = "lower"

    blank: int | None = field(default=None, kw_only=True)

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if prediction.ndim != 3 or target.ndim != 2 or target.shape[0] != prediction.shape[0]:
            raise ShapeError(
                f"{label_of(self)}: takes logits of shape (batch, time, classes) and targets of "
                f"shape (batch, labels), not {prediction.shape} and {target.shape}"
            )
        blank = 0 if self.blank is None else self.blank
        return best_path(prediction, blank), ops.where(target != blank, target, -1)

    def reduce(self, batch: Sequence[Any]) -> Sequence[Any]:
        distance = labels = 0
        for pair in zip(*(rows.tolist() for rows in batch), strict=True):
            spoken, known = ([label for label in row if label >= 0] for row in pair)
            distance += edit_distance(spoken, known)
            labels += len(known)
        return [distance, labels]

    def result(self, total: Sequence[Any]) -> float:
        distance, labels = total
        return ratio(distance, labels)


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Return how many items must be put in, taken out or replaced to make ``a`` into ``b``.

    Wagner and Fischer, "The string-to-string correction problem", 1974.
    """
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]
