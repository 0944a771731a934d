"""Losses for values: prediction and target have one shape, (batch, ...)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Tensor
from minidl.losses.base import Loss, check_quantities, label_of, loss


@loss("squared_error")
class SquaredError(Loss):
    """Half the sum of squares: L = ½ Σ (h_i − y_i)².    ∂L/∂h = h − y

    The one loss here that is a sum over samples, not a mean. What a run reports of it is divided
    by the number of samples.
    """

    metrics = ("mae",)
    averaged = False

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.squared_error(prediction, check_quantities(self, prediction, target))


@loss("mse")
class MeanSquaredError(Loss):
    """Mean of squares over samples and outputs: L = Σ (h_i − y_i)² / n."""

    metrics = ("mae", "r2")

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.mse(prediction, check_quantities(self, prediction, target))


@loss("mae")
class MeanAbsoluteError(Loss):
    """Mean of distances over samples and outputs: L = Σ |h_i − y_i| / n."""

    metrics = ("mae", "r2")

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.mae(prediction, check_quantities(self, prediction, target))


@loss("huber")
class Huber(Loss):
    """Quadratic near 0 and linear beyond δ, so that outliers pull less; a mean.

    With d = h_i − y_i: ½ d² where |d| ≤ δ, else δ (|d| − ½ δ). Huber, "Robust estimation of a
    location parameter", 1964.

    Attributes
    ----------
    delta : float
        δ, above 0.
    """

    metrics = ("mae", "r2")

    delta: Annotated[float, Gt(0)] = 1.0

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.huber(prediction, check_quantities(self, prediction, target), delta=self.delta)


@loss("smooth_l1")
class SmoothL1(Loss):
    """Distance beyond β and quadratic within, a mean: ``huber`` with δ = β, divided by β.

    With d = h_i − y_i: ½ d² / β where |d| ≤ β, else |d| − ½ β. Girshick, "Fast R-CNN", 2015.

    Attributes
    ----------
    beta : float
        β, above 0.
    """

    metrics = ("mae", "r2")

    beta: Annotated[float, Gt(0)] = 1.0

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.smooth_l1(prediction, check_quantities(self, prediction, target), beta=self.beta)


@loss("cosine_embedding")
class CosineEmbedding(Loss):
    """The angle to a target vector: L = 1 − cos(h, y), the mean over samples.

    The vectors stand on the last axis, (batch, ..., features); their lengths play no part. It is
    PyTorch's loss of that name where all pairs are alike.
    """

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        wanted = check_quantities(self, prediction, target)
        if prediction.ndim < 2:
            raise ShapeError(
                f"{label_of(self)}: predictions must be vectors of shape (batch, ..., features), "
                f"not {prediction.shape}"
            )
        return (1.0 - ops.cosine_similarity(prediction, wanted, axis=-1)).mean()
