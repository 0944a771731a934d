"""Losses for classes: predictions are logits, targets are classes or probabilities of them."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from minidl import ops
from minidl.component import Component
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Tensor
from minidl.graph.spec import is_float
from minidl.losses.base import Loss, check_prediction, check_values, label_of, loss


@loss("cross_entropy")
class CrossEntropy(Loss):
    """L = −Σ_c y_c log softmax(z)_c, the mean over samples.    ∂L/∂z = (softmax(z) − y) / n

    Predictions z are logits of shape (batch, ..., classes). Targets are integer classes of shape
    (batch, ...) or float probabilities y of the shape of the logits.

    Attributes
    ----------
    label_smoothing : float
        ε in [0, 1): y becomes (1 − ε) · y + ε / classes. Szegedy et al., "Rethinking the
        Inception architecture for computer vision", 2016.
    """

    task = "classification"
    metrics = ("accuracy",)

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        check_logits(self, prediction, target)
        smoothing = self.label_smoothing
        return ops.cross_entropy(prediction, target, label_smoothing=smoothing, axis=-1)

    def output(self, prediction: Tensor) -> Tensor:
        return ops.softmax(prediction, axis=-1)


@loss("binary_cross_entropy")
class BinaryCrossEntropy(Loss):
    """L = −[y log σ(z) + (1 − y) log(1 − σ(z))], the mean.    ∂L/∂z = (σ(z) − y) / n

    Predictions z are logits of any shape (batch, ...); targets y, 0 or 1 or between, have the
    same shape. With several outputs each is a question of its own.
    """

    task = "classification"
    metrics = ("accuracy",)

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        wanted = check_values(self, prediction, target)
        return ops.binary_cross_entropy_with_logits(prediction, wanted)

    def output(self, prediction: Tensor) -> Tensor:
        return ops.sigmoid(prediction)


def check_logits(part: Component, prediction: Tensor, target: Tensor) -> None:
    """Raise ShapeError or DtypeError unless these are logits with classes or probabilities.

    The message names ``part`` and both shapes, and says how to end the model or what to convert.
    """
    check_prediction(part, prediction)
    label, logits, given = label_of(part), prediction.shape, target.shape
    if len(logits) < 2 or logits[-1] < 2:
        raise ShapeError(
            f"{label}: predictions must be logits of shape (batch, classes) with two classes or "
            f"more, not {logits}; end the model with {{ type = 'linear', units = <classes> }}, "
            f"or use the loss 'binary_cross_entropy' for one logit a sample"
        )
    wanted = logits if is_float(target.dtype) else logits[:-1]
    if target.dtype == "bool" or (wanted == logits and given == logits[:-1]):
        raise DtypeError(
            f"{label}: targets of shape {given} are classes and must be integers, "
            f"not {target.dtype}; convert them (astype('int64'))"
        )
    if given != wanted:
        what = "probabilities" if wanted == logits else "integer classes"
        raise ShapeError(
            f"{label}: logits of shape {logits} take {what} of shape {wanted}, "
            f"not {given}{_advice(wanted, given)}"
        )


def _advice(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    if given == (*wanted, 1):
        return "; take the last axis off the targets (y[..., 0])"
    if given[:1] != wanted[:1]:
        return "; they have different numbers of samples"
    if len(given) == len(wanted) + 1:
        return "; turn one-hot targets into floats, or into classes (y.argmax(-1))"
    return ""
