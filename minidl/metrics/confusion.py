"""Metrics that count what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from minidl import ops
from minidl.graph import Tensor
from minidl.metrics.base import metric, ratio
from minidl.metrics.classification import OfClasses


class _OfCounts(OfClasses):
    """Base of metrics made of what was found, what was there and what was said, by class.

    With logits of several classes each position has one class. With a logit of yes or no for each
    of several questions (``multilabel``) each question is a class; with a single one the class is
    yes alone.
    """

    axes = ("class",)

    average: Literal["macro", "micro", "weighted", "none"] = "macro"

    @property
    def better(self) -> str:  # type: ignore[override]
        """Higher, unless the result is a list."""
        return "" if self.average == "none" else "higher"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self.is_yes_or_no(prediction, target):
            logits, there, kept = self.yes_or_no(prediction, target)
            said = logits > 0
        else:
            said, there, kept = _hot(self, prediction, target)
        if kept is not None:
            said, there = said & kept, there & kept
        return (said & there).sum(axis=0), said.sum(axis=0), there.sum(axis=0)

    def result(self, total: Sequence[Any]) -> float | list[Any]:
        if self.average == "micro":
            return self._score(*(float(counts.sum()) for counts in total))
        rows = zip(*(counts.tolist() for counts in total), strict=True)
        scores = [(self._score(*row), any(row)) for row in rows]
        if self.average == "none":
            return [score for score, _ in scores]
        if self.average == "weighted":
            there = total[2].tolist()
            return ratio(sum(s * n for (s, _), n in zip(scores, there, strict=True)), sum(there))
        seen = [score for score, came_up in scores if came_up]
        return ratio(sum(seen), len(seen))

    def _score(self, found: float, said: float, there: float) -> float:
        raise NotImplementedError


@metric("precision")
class Precision(_OfCounts):
    """Of what was said to be of a class, the share that is: found / said.

    A class that was never said has 0.

    Attributes
    ----------
    average : {"macro", "micro", "weighted", "none"}
        The mean over the classes that came up in targets or predictions; or of all counts
        together; or the mean over the classes weighted by how often each is there; or a list with
        a number for each class, which is written to the metrics of a run but cannot decide which
        weights are best.
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    def _score(self, found: float, said: float, there: float) -> float:
        return found / said if said else 0.0


@metric("recall")
class Recall(_OfCounts):
    """Of what is of a class, the share that was said to be: found / there.

    A class that is never there has 0.

    Attributes
    ----------
    average : {"macro", "micro", "weighted", "none"}
        As of ``precision``.
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    def _score(self, found: float, said: float, there: float) -> float:
        return found / there if there else 0.0


@metric("f1")
class F1(_OfCounts):
    """The harmonic mean of precision and recall: 2 · found / (said + there).

    Attributes
    ----------
    average : {"macro", "micro", "weighted", "none"}
        As of ``precision``.
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    def _score(self, found: float, said: float, there: float) -> float:
        return 2 * found / (said + there) if said + there else 0.0


@metric("confusion_matrix")
class ConfusionMatrix(OfClasses):
    """How often each class was taken for each: rows are the true classes, columns the predicted.

    The result is a list of rows of whole numbers, which is written to the metrics of a run but
    cannot decide which weights are best. Logits of yes or no give the classes no and yes.

    Attributes
    ----------
    axis, ignore_index, multilabel : optional
        As of ``accuracy``.
    """

    better = ""
    axes = ("true", "predicted")

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self.is_yes_or_no(prediction, target):
            logits, wanted, kept = self.yes_or_no(prediction, target)
            answers, wanted = (v.reshape((-1, 1)) for v in (logits > 0, wanted))
            kept = None if kept is None else kept.reshape((-1, 1))
            said = ops.concat([~answers, answers], axis=1)
            there = ops.concat([~wanted, wanted], axis=1)
        else:
            said, there, kept = _hot(self, prediction, target)
        if kept is not None:
            there = there & kept
        # sums of 0 and 1 in float64 are exact beyond any batch
        counts = ops.matrix_transpose(there.astype("float64")) @ said.astype("float64")
        return (counts,)

    def result(self, total: Sequence[Any]) -> list[Any]:
        (counts,) = total
        return [[int(count) for count in row] for row in counts.tolist()]


def _hot(
    part: OfClasses, prediction: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return which class was said and which was there, (n, classes), and which rows count."""
    logits, classes, kept = part.positions(prediction, target)
    count = logits.shape[-1]
    said = ops.one_hot(ops.argmax(logits, axis=-1), count, dtype="bool")
    if kept is None:
        return said, ops.one_hot(classes, count, dtype="bool"), None
    safe = ops.where(kept, classes, 0)
    return said, ops.one_hot(safe, count, dtype="bool"), ops.expand_dims(kept, axis=1)
