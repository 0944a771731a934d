"""Metrics for classes: predictions are logits, targets are classes or probabilities of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any

from annotated_types import Ge

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor, tensor
from minidl.graph.spec import INTEGERS, is_float
from minidl.losses.base import check_values
from minidl.losses.classification import check_logits
from minidl.metrics.base import Metric, metric, ratio


class OfClasses(Metric):
    """Base of metrics of classes.

    Attributes
    ----------
    axis : int
        The axis of the classes; images of logits, (batch, classes, height, width), take 1.
    ignore_index : int, optional
        Positions whose target this is do not count. The default, -100, is no class, so nothing is
        lost by it; a loss with another one hands it to the metrics it brings itself.
    """

    axis: int = field(default=-1, kw_only=True)
    ignore_index: int | None = field(default=-100, kw_only=True)

    def positions(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits (n, classes), integer classes (n,) and, unless all count, which do.

        The class of a position that does not count is what the target holds there.
        """
        check_logits(self, prediction, target, self.axis)
        last = prediction.ndim - 1
        axis = self.axis % prediction.ndim
        if axis != last:
            order = [i for i in range(last + 1) if i != axis] + [axis]
            prediction = ops.permute_dims(prediction, order)
            if is_float(target.dtype):
                target = ops.permute_dims(target, order)
        classes = prediction.shape[-1]
        known = classes_of(target, prediction).reshape((-1,))
        kept = self.counted(target)
        kept = None if kept is None else kept.reshape((-1,))
        return prediction.reshape((-1, classes)), known, kept

    def counted(self, target: Tensor) -> Tensor | None:
        """Return which targets are not ignored, None where none can be."""
        index = self.ignore_index
        if index is None or target.dtype not in INTEGERS or (index < 0 and target.dtype[0] == "u"):
            return None
        return target != index


class _Share(OfClasses):
    """Base of metrics that are the share of samples that are right."""

    better = "higher"

    def result(self, total: Sequence[Any]) -> float:
        right, count = total
        return ratio(right, count)


@metric("accuracy")
class Accuracy(_Share):
    """Share of samples whose class is the predicted one; every position of a sequence counts.

    - Logits (batch, ..., classes) with integer classes (batch, ...), or with float probabilities
      of the logits' shape: the largest logit against the class, or the largest probability. Of
      equal ones the first counts.
    - Logits of yes or no, (batch,) or (batch, 1), with targets of either shape, or of any shape
      with boolean or integer targets of the same shape: yes is a logit above 0 against a target
      above ½. Each element counts for itself.

    Attributes
    ----------
    axis : int
        The axis of the classes.
    ignore_index : int, optional
        Positions whose target this is do not count.
    """

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if is_binary(prediction, target):
            answers, wanted, kept = yes_or_no(self, prediction, target)
            right = (answers > 0) == wanted
        else:
            logits, classes, kept = self.positions(prediction, target)
            right = ops.argmax(logits, axis=-1) == classes
        return _share_of(right, kept)


@metric("top_k_accuracy")
class TopKAccuracy(_Share):
    """Share of samples whose class is among the k largest logits.

    Of equal logits the one of the lower class comes first, so k = 1 is ``accuracy``.

    Attributes
    ----------
    k : int
        How many guesses a sample has; at most the number of classes.
    axis : int
        The axis of the classes.
    ignore_index : int, optional
        Positions whose target this is do not count.
    """

    k: Annotated[int, Ge(1)] = 5

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        logits, classes, kept = self.positions(prediction, target)
        count = logits.shape[-1]
        if self.k > count:
            raise ShapeError(
                f"metric 'top_k_accuracy': k is {self.k} but there are {count} classes; "
                f"choose a smaller k"
            )
        wanted = ops.expand_dims(classes, axis=-1)
        index = tensor(list(range(count)))
        own = ops.where(index == wanted, logits, 0.0).sum(axis=-1, keepdims=True)
        behind = (logits < own) | ((logits == own) & (index >= wanted))
        rank = count - behind.astype("int64").sum(axis=-1)
        return _share_of(rank < self.k, kept)


@metric("perplexity")
class Perplexity(OfClasses):
    """How many classes a network wavers between: e to the mean cross entropy of all positions.

    The number of classes for a network that knows nothing, 1 for one that is always sure and
    right. Logits are (batch, ..., classes), targets integer classes (batch, ...) or float
    probabilities of the logits' shape.

    Attributes
    ----------
    axis : int
        The axis of the classes.
    ignore_index : int, optional
        Positions whose target this is do not count.
    """

    better = "lower"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        logits, classes, kept = self.positions(prediction, target)
        if is_float(target.dtype):
            every = ops.cross_entropy(prediction, target, axis=self.axis, reduction="none")
            return every.sum(), tensor(every.size)
        index = None if kept is None else self.ignore_index
        total = ops.cross_entropy(logits, classes, axis=-1, reduction="sum", ignore_index=index)
        return total, tensor(classes.size) if kept is None else kept.sum()

    def result(self, total: Sequence[Any]) -> float:
        mean = ratio(*total)
        return math.exp(mean) if not mean > 700 else math.inf


def classes_of(target: Tensor, logits: Tensor) -> Tensor:
    """Return integer classes: the target, or the most probable ones if it holds probabilities."""
    return ops.argmax(target, axis=-1) if target.shape == logits.shape else target


def is_binary(prediction: Tensor, target: Tensor) -> bool:
    """Whether each element of ``prediction`` is the logit of a question of its own."""
    if prediction.ndim < 2 or prediction.shape[1:] == (1,):
        return True
    return prediction.shape == target.shape and not is_float(target.dtype)


def yes_or_no(
    part: OfClasses, prediction: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return logits, whether the answer is yes, and, unless all count, which count."""
    if prediction.shape != target.shape and prediction.size == target.size:
        target = target.reshape(prediction.shape)
    return prediction, check_values(part, prediction, target) > 0.5, part.counted(target)


def _share_of(right: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
    if kept is None:
        return right.astype("int64").sum(), tensor(right.size)
    return (right & kept).astype("int64").sum(), kept.sum()
