"""Losses for classes: predictions are logits, targets are classes or probabilities of them."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from minidl import ops
from minidl.component import Component
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Tensor
from minidl.graph.spec import INTEGERS, is_float
from minidl.losses.base import (
    Loss,
    check_prediction,
    check_range,
    check_values,
    first_of,
    label_of,
    loss,
)


class _OfClasses(Loss):
    """Base of losses of one class among several, with weights and ignored positions."""

    task = "classification"
    metrics = ("accuracy",)

    weight: list[Annotated[float, Ge(0)]] | None = field(default=None, kw_only=True)
    ignore_index: int | None = field(default=None, kw_only=True)
    axis: int = field(default=-1, kw_only=True)

    def _options(self, prediction: Tensor, target: Tensor) -> dict[str, Any]:
        """Check that all fits and return the arguments of the op."""
        check_logits(self, prediction, target, self.axis)
        classes = prediction.shape[self.axis]
        if self.weight is not None and len(self.weight) != classes:
            raise ShapeError(
                f"{label_of(self)}: weight has {len(self.weight)} values, but predictions of shape "
                f"{prediction.shape} have {classes} classes"
            )
        if self.ignore_index is not None and is_float(target.dtype):
            raise DtypeError(
                f"{label_of(self)}: ignore_index goes with integer classes, not with "
                f"probabilities ({target.dtype})"
            )
        return {"weight": self.weight, "ignore_index": self.ignore_index, "axis": self.axis}

    def count(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        if is_float(target.dtype) or (self.weight is None and self.ignore_index is None):
            return None
        ignored = -1 if self.ignore_index is None else self.ignore_index
        kept = target != ignored
        weight = ops.ones(prediction.shape[self.axis]) if self.weight is None else self.weight
        return ops.where(kept, ops.take(weight, ops.where(kept, target, 0)), 0.0).sum()


@loss("cross_entropy")
class CrossEntropy(_OfClasses):
    """L = −Σ_c y_c log softmax(z)_c, the mean over samples.    ∂L/∂z = (softmax(z) − y) / n

    Predictions z are logits of shape (batch, ..., classes): every position of a sequence counts
    as a sample. Targets are integer classes of shape (batch, ...) or float probabilities y of the
    shape of the logits.

    Attributes
    ----------
    label_smoothing : float
        ε in [0, 1): y becomes (1 − ε) · y + ε / classes. Szegedy et al., "Rethinking the
        Inception architecture for computer vision", 2016.
    weight : list of float, optional
        What each class counts; with integer classes the mean divides by the sum of the weights.
    ignore_index : int, optional
        Positions whose target this is have no part in the mean; it may be a class or not. A batch
        of nothing else has the loss 0. PyTorch's default is -100. Here there is none, so that a
        target that is no class is an error and not left out unseen.
    axis : int
        The axis of the classes. Images of logits, (batch, classes, height, width), take 1.
    """

    applies = "softmax"

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        options = self._options(prediction, target)
        smoothing = self.label_smoothing
        return ops.cross_entropy(prediction, target, label_smoothing=smoothing, **options)

    def check_targets(self, targets: Any, first: int = 0) -> None:
        if targets.dtype.kind == "f":
            check_range(targets, 0, 1, first)

    def output(self, prediction: Tensor) -> Tensor:
        return ops.softmax(prediction, axis=self.axis)


@loss("nll")
class NegativeLogLikelihood(_OfClasses):
    """L = −z_y, the mean over samples: predictions z are log probabilities.    ∂L/∂z = −y / n

    For a model that ends with ``log_softmax``, in the shapes of ``cross_entropy``, which takes
    logits and is the same. Targets are integer classes.

    Attributes
    ----------
    weight : list of float, optional
        What each class counts; the mean divides by the sum of the weights.
    ignore_index : int, optional
        Positions whose target this is have no part in the mean; by default none, as in
        ``cross_entropy``.
    axis : int
        The axis of the classes.
    """

    takes_log_probabilities = True

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        if is_float(target.dtype):
            raise DtypeError(
                f"{label_of(self)}: targets must be integer classes, not {target.dtype}; for "
                f"probabilities use the loss 'kl_div'"
            )
        return ops.nll(prediction, target, **self._options(prediction, target))

    def output(self, prediction: Tensor) -> Tensor:
        return ops.exp(prediction)


@loss("kl_div")
class KLDivergence(Loss):
    """L = Σ_c y_c (log y_c − z_c), the mean over samples: how far probabilities are from targets.

    Predictions z are log probabilities of shape (batch, ..., classes), as ``log_softmax`` gives
    them; targets y are probabilities of the same shape. PyTorch's reduction "batchmean".

    Attributes
    ----------
    log_target : bool
        Targets are log probabilities too.
    """

    task = "classification"
    metrics = ("accuracy",)
    takes_log_probabilities = True

    log_target: bool = False

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        wanted = check_values(self, prediction, target)
        if prediction.ndim < 2:
            raise ShapeError(
                f"{label_of(self)}: predictions must be log probabilities of shape (batch, ..., "
                f"classes), not {prediction.shape}"
            )
        apart = ops.kl_div(prediction, wanted, log_target=self.log_target, reduction="none")
        return apart.sum(axis=-1).mean()

    def check_targets(self, targets: Any, first: int = 0) -> None:
        low, high = (-math.inf, 0) if self.log_target else (0, 1)
        check_range(targets, low, high, first)

    def output(self, prediction: Tensor) -> Tensor:
        return ops.exp(prediction)


@loss("binary_cross_entropy")
class BinaryCrossEntropy(Loss):
    """L = −[y log σ(z) + (1 − y) log(1 − σ(z))], the mean.    ∂L/∂z = (σ(z) − y) / n

    Predictions z are logits of any shape (batch, ...); targets y, 0 or 1 or between, have the
    same shape, or (batch,) where they are the integer classes 0 and 1 and z is (batch, 1). With
    several outputs each is a question of its own.

    Attributes
    ----------
    pos_weight : float or list of float, optional
        What the term of y counts against that of 1 − y: the number of negatives for each
        positive balances them. A list has a value for each place of the last axis.
    """

    task = "classification"
    metrics = ("accuracy",)
    multilabel = True
    applies = "sigmoid"

    pos_weight: Annotated[float, Gt(0)] | list[Annotated[float, Gt(0)]] | None = None

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        if target.dtype in INTEGERS and prediction.shape == (*target.shape, 1):
            target = ops.expand_dims(target, axis=-1)
        wanted = check_values(self, prediction, target)
        weight = self.pos_weight
        if isinstance(weight, list) and prediction.shape[-1:] != (len(weight),):
            raise ShapeError(
                f"{label_of(self)}: pos_weight has {len(weight)} values, which do not fit the last "
                f"axis of predictions of shape {prediction.shape}"
            )
        return ops.binary_cross_entropy_with_logits(prediction, wanted, pos_weight=weight)

    def check_targets(self, targets: Any, first: int = 0) -> None:
        check_range(targets, 0, 1, first)

    def output(self, prediction: Tensor) -> Tensor:
        return ops.sigmoid(prediction)


@loss("triplet_margin")
class TripletMargin(Loss):
    """Vectors of one class near each other, of different ones apart by a margin.

    L = mean of max(0, d(a, p) − d(a, n) + margin). Predictions are vectors (batch, features),
    targets integer classes (batch,). Triplets are made of each batch: for every sample a the
    farthest p of its class and the nearest n of another; samples that lack one of them do not
    count. So a batch should hold several samples of each class. Hermans, Beyer and Leibe, "In
    defense of the triplet loss for person re-identification", 2017.

    Attributes
    ----------
    margin : float
        Above 0.
    p : float
        Which norm of a difference is the distance d; above 0.
    """

    least_samples = 3

    margin: Annotated[float, Gt(0)] = 1.0
    p: Annotated[float, Gt(0)] = 2.0

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        check_prediction(self, prediction)
        if prediction.ndim != 2 or target.shape != prediction.shape[:1]:
            raise ShapeError(
                f"{label_of(self)}: takes vectors of shape (batch, features) and classes of shape "
                f"(batch,), not {prediction.shape} and {target.shape}"
            )
        if target.dtype not in INTEGERS:
            raise DtypeError(
                f"{label_of(self)}: targets are classes and must be integers, not {target.dtype}"
            )
        return ops.batch_hard_triplet(prediction, target, margin=self.margin, p=self.p)

    def count(self, prediction: Tensor, target: Tensor) -> Tensor:
        same = ops.expand_dims(target, axis=1) == ops.expand_dims(target, axis=0)
        alike = same.sum(axis=1)
        return ((alike > 1) & (alike < target.shape[0])).astype("float32").sum()


@loss("ctc")
class CTC(Loss):
    """Labels in their order, with no place in time: L = −log P(labels), all alignments summed.

    Predictions are logits (batch, time, classes), one class being ``blank``; targets are integer
    classes (batch, labels), shorter ones filled up at their end with blank or with a negative
    number. The loss of a sample is divided by the number of its labels, then the mean is taken,
    as PyTorch does. Graves et al., "Connectionist temporal classification", 2006.

    Every step counts. Behind the layer ``blank_padding`` those that only fill a sequence up say
    nothing, which comes to the loss of the sequence alone.

    Attributes
    ----------
    blank : int
        The class that stands for nothing.
    zero_infinity : bool
        Samples with more labels than there is time for count as 0; otherwise the loss is
        infinite.
    """

    task = "classification"
    metrics = ("label_error_rate",)
    applies = "softmax"
    on_infinity = (
        "a target has more labels than its steps of time can spell, equal neighbours needing a "
        "blank between them; shorten it, or set zero_infinity = true in [loss]"
    )

    blank: Annotated[int, Ge(0)] = 0
    zero_infinity: bool = False

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        check_prediction(self, prediction)
        if prediction.ndim != 3 or target.ndim != 2 or target.shape[0] != prediction.shape[0]:
            raise ShapeError(
                f"{label_of(self)}: takes logits of shape (batch, time, classes) and targets of "
                f"shape (batch, labels), not {prediction.shape} and {target.shape}"
            )
        if target.dtype not in INTEGERS:
            raise DtypeError(f"{label_of(self)}: targets must be integers, not {target.dtype}")
        batch, time, classes = prediction.shape
        if self.blank >= classes:
            raise ShapeError(
                f"{label_of(self)}: blank is {self.blank}, but predictions of shape "
                f"{prediction.shape} have {classes} classes"
            )
        labels = target.astype("int64")
        lengths = ((labels >= 0) & (labels != self.blank)).sum(axis=1)
        return ops.ctc(
            ops.permute_dims(ops.log_softmax(prediction, axis=-1), (1, 0, 2)),
            labels,
            ops.full((batch,), time, dtype="int64"),
            lengths,
            blank=self.blank,
            zero_infinity=self.zero_infinity,
        )

    def check_targets(self, targets: Any, first: int = 0) -> None:
        real = (targets >= 0) & (targets != self.blank)
        stray = real[:, 1:] & ~real[:, :-1]
        if stray.any():
            sample, label = first_of(stray, targets[:, 1:])
            raise ValueError(
                f"label {label} of sample {first + sample} stands behind one that is none; fill "
                f"targets up at their end, and let no label be {self.blank}, the blank"
            )

    def output(self, prediction: Tensor) -> Tensor:
        """Return the labels of the best path, int64 of shape (batch, time): see best_path."""
        return best_path(prediction, self.blank)


def best_path(prediction: Tensor, blank: int) -> Tensor:
    """Return what the likeliest class of each step spells: labels in order, with −1 between them.

    Greedy decoding: −1 stands where a step says blank, or what the step before it said. Other
    paths that spell the same are not added up.

    Parameters
    ----------
    prediction : Tensor (batch, time, classes)
        Logits or probabilities.

    Returns
    -------
    Tensor (batch, time)
        int64.
    """
    said = ops.argmax(prediction, axis=-1)
    before = ops.pad(said, ((0, 0), (1, 0)), value=blank)[:, :-1]
    return ops.where((said != blank) & (said != before), said, -1)


def check_logits(part: Component, prediction: Tensor, target: Tensor, axis: int = -1) -> None:
    """Raise ShapeError or DtypeError unless these are logits with classes or probabilities.

    The message names ``part`` and both shapes, and says how to end the model or what to convert.
    """
    check_prediction(part, prediction)
    label, logits, given = label_of(part), prediction.shape, target.shape
    axis = place_of_axis(part, prediction, axis)
    if len(logits) < 2 or logits[axis] < 2:
        raise ShapeError(
            f"{label}: predictions must be logits of shape (batch, classes) with two classes or "
            f"more, not {logits}; end the model with {{ type = 'linear', units = <classes> }}, "
            f"or use the loss 'binary_cross_entropy' for one logit a sample"
        )
    positions = logits[:axis] + logits[axis + 1 :]
    wanted = logits if is_float(target.dtype) else positions
    if target.dtype == "bool" or (wanted == logits and given == positions):
        raise DtypeError(
            f"{label}: targets of shape {given} are classes and must be integers, "
            f"not {target.dtype}; convert them (astype('int64'), or task = 'classification' "
            f"in [data])"
        )
    if given != wanted:
        what = "probabilities" if wanted == logits else "integer classes"
        raise ShapeError(
            f"{label}: logits of shape {logits} take {what} of shape {wanted}, "
            f"not {given}{_advice(wanted, given)}"
        )


def place_of_axis(part: Component, prediction: Tensor, axis: int) -> int:
    """Return ``axis`` counted from the first; raise ShapeError, naming ``part``, if it is none."""
    shape = prediction.shape
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"{label_of(part)}: axis {axis} is out of range for predictions of shape {shape}"
        )
    return axis % len(shape)


def _advice(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    if given == (*wanted, 1):
        return "; take the last axis off the targets (y[..., 0])"
    if given[:1] != wanted[:1]:
        return "; they have different numbers of samples"
    if len(given) == len(wanted) + 1:
        return "; turn one-hot targets into floats, or into classes (y.argmax(-1))"
    return ""
