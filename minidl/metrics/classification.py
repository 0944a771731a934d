"""Metrics for classes: predictions are logits, targets are classes or probabilities of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor, tensor
from minidl.graph.spec import is_float
from minidl.losses.base import check_values
from minidl.losses.classification import check_logits
from minidl.metrics.base import Metric, metric


class _Share(Metric):
    """Base of metrics that are the share of samples that are right."""

    better = "higher"

    def result(self, total: Sequence[Any]) -> float:
        right, count = total
        return float(right / count)


@metric("accuracy")
class Accuracy(_Share):
    """Share of samples whose class is the predicted one.

    - Logits (batch, classes) with integer classes (batch,), or with float probabilities
      (batch, classes): the largest logit against the class, or the largest probability. Of equal
      ones the first counts.
    - Logits of yes or no, (batch,) or (batch, 1), with targets of either shape, or of any shape
      with boolean or integer targets of the same shape: yes is a logit above 0 against a target
      above ½. Each element counts for itself.
    """

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if _is_binary(prediction, target):
            if prediction.shape != target.shape and prediction.size == target.size:
                target = target.reshape(prediction.shape)
            yes = check_values(self, prediction, target) > 0.5
            right = (prediction > 0) == yes
        else:
            check_logits(self, prediction, target)
            right = ops.argmax(prediction, axis=-1) == classes_of(target, prediction)
        return right.astype("int64").sum(), tensor(right.size)


@metric("top_k_accuracy")
class TopKAccuracy(_Share):
    """Share of samples whose class is among the k largest logits.

    Of equal logits the one of the lower class comes first, so k = 1 is ``accuracy``.

    Attributes
    ----------
    k : int
        How many guesses a sample has; at most the number of classes.
    """

    k: Annotated[int, Ge(1)] = 5

    def statistics(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        check_logits(self, prediction, target)
        count = prediction.shape[-1]
        if self.k > count:
            raise ShapeError(
                f"metric 'top_k_accuracy': k is {self.k} but there are {count} classes; "
                f"choose a smaller k"
            )
        wanted = ops.expand_dims(classes_of(target, prediction), axis=-1)
        index = tensor(list(range(count)))
        own = ops.where(index == wanted, prediction, 0.0).sum(axis=-1, keepdims=True)
        behind = (prediction < own) | ((prediction == own) & (index >= wanted))
        rank = count - behind.astype("int64").sum(axis=-1)
        right = rank < self.k
        return right.astype("int64").sum(), tensor(right.size)


def classes_of(target: Tensor, logits: Tensor) -> Tensor:
    """Return integer classes: the target, or the most probable ones if it holds probabilities."""
    return ops.argmax(target, axis=-1) if target.shape == logits.shape else target


def _is_binary(prediction: Tensor, target: Tensor) -> bool:
    """Whether each element of ``prediction`` is the logit of a question of its own."""
    if prediction.ndim < 2 or prediction.shape[1:] == (1,):
        return True
    return prediction.shape == target.shape and not is_float(target.dtype)
