"""Metrics for classes: predictions are logits, targets are classes or probabilities of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any

from annotated_types import Ge

from minidl import ops
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Tensor, tensor
from minidl.graph.spec import INTEGERS, is_float
from minidl.losses import Loss
from minidl.losses.base import check_values
from minidl.losses.classification import check_logits, place_of_axis
from minidl.metrics.base import Metric, metric, ratio


class OfClasses(Metric):
    """Base of metrics of classes. What is None, the loss decides.

    Attributes
    ----------
    axis : int, optional
        The axis of the classes, or of the questions; images of logits, (batch, classes, height,
        width), take 1. Without a loss that has one, the last.
    ignore_index : int, optional
        Positions whose target this is do not count. Without a loss that has one it is -100, which
        is no class.
    multilabel : bool, optional
        Whether each output is a question of its own, of yes or no. Without a loss that knows, it
        is where targets are integers in the shape of the predictions.
    """

    axis: int | None = field(default=None, kw_only=True)
    ignore_index: int | None = field(default=None, kw_only=True)
    multilabel: bool | None = field(default=None, kw_only=True)

    def suited_to(self, loss: Loss) -> Metric:
        """Return the metric that is measured beside ``loss``; see :meth:`Metric.suited_to`.

        Raises
        ------
        ConfigError
            If the loss is of values, whose predictions are no logits.
        """
        if loss.task == "regression":
            raise ConfigError(
                f"metric '{self.type_name}' is of classes, and the loss '{loss.type_name}' of "
                f"values; choose a metric of values or a loss of classes"
            )
        return super().suited_to(loss)

    def positions(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits (n, classes), integer classes (n,) and, unless all count, which do.

        The class of a position that does not count is what the target holds there.
        """
        check_logits(self, prediction, target, self._axis)
        logits = _rows(prediction, self._axis)
        if is_float(target.dtype):
            return logits, ops.argmax(_rows(target, self._axis), axis=-1), None
        return logits, target.reshape((-1,)), self._counted(target.reshape((-1,)))

    def is_yes_or_no(self, prediction: Tensor, target: Tensor) -> bool:
        """Whether each element of ``prediction`` is the logit of a question of its own."""
        if prediction.ndim < 2 or prediction.shape[1:] == (1,):
            return True
        if self.multilabel is not None:
            return self.multilabel
        return prediction.shape == target.shape and not is_float(target.dtype)

    def yes_or_no(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits (n, questions), whether the answer is yes and, unless all count, which do.

        Raises
        ------
        ShapeError, DtypeError
            If prediction and target do not fit together.
        """
        if prediction.shape != target.shape and prediction.size == target.size:
            target = target.reshape(prediction.shape)
        wanted = check_values(self, prediction, target)
        if prediction.ndim == 1:
            prediction, wanted, target = (v.reshape((-1, 1)) for v in (prediction, wanted, target))
        axis = place_of_axis(self, prediction, self._axis)
        kept = self._counted(_rows(target, axis))
        return _rows(prediction, axis), _rows(wanted, axis) > 0.5, kept

    @property
    def _axis(self) -> int:
        return -1 if self.axis is None else self.axis

    @property
    def _ignored(self) -> int:
        return -100 if self.ignore_index is None else self.ignore_index

    def _counted(self, target: Tensor) -> Tensor | None:
        """Return which targets are not ignored, None where none can be."""
        dtype = target.dtype
        if dtype not in INTEGERS or (self._ignored < 0 and dtype[0] == "u"):
            return None
        return target != self._ignored


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
    axis : int, optional
        The axis of the classes; default that of the loss, or the last.
    ignore_index : int, optional
        Positions whose target this is do not count; default that of the loss, or -100.
    multilabel : bool, optional
        Whether each logit is a question of yes or no, also where targets are floats; default
        what the loss says, or what the shapes do.
    """

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self.is_yes_or_no(prediction, target):
            answers, wanted, kept = self.yes_or_no(prediction, target)
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
    axis, ignore_index : int, optional
        As of ``accuracy``.
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
    axis, ignore_index : int, optional
        As of ``accuracy``.
    """

    better = "lower"

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        logits, classes, kept = self.positions(prediction, target)
        if is_float(target.dtype):
            every = ops.cross_entropy(prediction, target, axis=self._axis, reduction="none")
            return every.sum(), tensor(every.size)
        index = None if kept is None else self._ignored
        total = ops.cross_entropy(logits, classes, axis=-1, reduction="sum", ignore_index=index)
        return total, tensor(classes.size) if kept is None else kept.sum()

    def result(self, total: Sequence[Any]) -> float:
        mean = ratio(*total)
        return math.exp(mean) if not mean > 700 else math.inf


def _rows(values: Tensor, axis: int) -> Tensor:
    """Return ``values`` as (n, length of ``axis``): that axis last, all others together."""
    axis %= values.ndim
    if axis != values.ndim - 1:
        order = [i for i in range(values.ndim) if i != axis]
        values = ops.permute_dims(values, [*order, axis])
    return values.reshape((-1, values.shape[-1]))


def _share_of(right: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
    if kept is None:
        return right.astype("int64").sum(), tensor(right.size)
    return (right & kept).astype("int64").sum(), kept.sum()
