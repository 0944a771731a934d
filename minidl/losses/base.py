"""What a loss is, and the checks that losses and metrics share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from minidl.component import C, Component, component
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Tensor
from minidl.graph.spec import is_float


class Loss(Component):
    """A scalar to minimise. Subclass it and decorate it with :func:`loss`.

    Attributes
    ----------
    task : {"classification", "regression"}
        What the targets are, and so what ``predict`` prints.
    metrics : tuple of str or tables
        Metrics that are measured unless the config names others. What a metric leaves open, it
        takes from the loss: see :meth:`minidl.metrics.Metric.suited_to`.
    multilabel : bool, optional
        Whether each output of a classification is a question of its own, of yes or no.
    averaged : bool
        Whether the loss of a batch is a mean; otherwise it is a sum. By it the losses of several
        batches are joined.
    applies : str
        The layer whose function the loss applies to what it is given, ``"softmax"``; a network is
        not to end with it.
    takes_log_probabilities : bool
        Whether predictions must be logarithms of probabilities that add up to 1.
    on_infinity : str
        What to do where the loss becomes infinite by itself, not by what the network gives.
    least_samples : int
        Of how few samples a batch may be for the loss to say anything of it.
    """

    kind = "loss"
    task: ClassVar[Literal["classification", "regression"]] = "regression"
    multilabel: ClassVar[bool | None] = None
    metrics: ClassVar[tuple[Any, ...]] = ()
    averaged: ClassVar[bool] = True
    applies: ClassVar[str] = ""
    takes_log_probabilities: ClassVar[bool] = False
    on_infinity: ClassVar[str] = ""
    least_samples: ClassVar[int] = 1

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch: the mean over its samples, unless said otherwise.

        Raises
        ------
        ShapeError, DtypeError
            If prediction and target do not fit together; nothing is broadcast in silence.
        """
        raise NotImplementedError

    def count(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """Return the sum of the weights that the mean of a batch was taken with, a scalar.

        None where every sample counts the same; override where some do not.
        """
        return None

    def check_targets(self, targets: Any, first: int = 0) -> None:
        """Raise ValueError naming the first target that has no meaning to this loss; override.

        It is asked before training, so that no batch has to be.

        Parameters
        ----------
        targets : numpy.ndarray
            Those of some samples, as the dataset stores them; all finite.
        first : int
            Number of the first of these samples.
        """

    def output(self, prediction: Tensor) -> Tensor:
        """Return what the network's output means to a person: probabilities, not logits."""
        return prediction


def loss(name: str) -> Callable[[C], C]:
    """Declare a loss and register it under ``name``."""
    return component("loss", name)


def check_values(part: Component, prediction: Tensor, target: Tensor) -> Tensor:
    """Return ``target`` in the dtype of ``prediction``, if they have one shape.

    Raises
    ------
    ShapeError, DtypeError
        Naming ``part`` and both, with advice on how to end the model.
    """
    check_prediction(part, prediction)
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{label_of(part)}: predictions of shape {prediction.shape} do not fit targets of "
            f"shape {target.shape}, which must be the same; "
            f"{_advice(prediction.shape, target.shape)}"
        )
    return target if target.dtype == prediction.dtype else target.astype(prediction.dtype)


def check_quantities(part: Component, prediction: Tensor, target: Tensor) -> Tensor:
    """As :func:`check_values`, for targets that must be values, not classes."""
    if not is_float(target.dtype):
        raise DtypeError(
            f"{label_of(part)}: targets of dtype {target.dtype} are classes, not values; where "
            f"they are numbers to be predicted set task = 'regression' in [data], otherwise "
            f"choose a {part.kind} of classes"
        )
    return check_values(part, prediction, target)


def check_range(targets: Any, low: float, high: float, first: int) -> None:
    """Raise ValueError naming the first target outside a range; ``first`` counts samples."""
    wrong = (targets < low) | (targets > high)
    if wrong.any():
        sample, value = first_of(wrong, targets)
        raise ValueError(f"target {value} of sample {first + sample} is not from {low} to {high}")


def first_of(wrong: Any, targets: Any) -> tuple[int, Any]:
    """Return the sample and the value of the first target that is wrong."""
    place = int(wrong.reshape(-1).argmax())
    return place // max(1, targets[0].size), targets.reshape(-1)[place]


def check_prediction(part: Component, prediction: Tensor) -> None:
    """Raise DtypeError, naming ``part``, unless ``prediction`` is of a float dtype."""
    if not is_float(prediction.dtype):
        raise DtypeError(f"{label_of(part)}: predictions must be floats, not {prediction.dtype}")


def label_of(part: Component) -> str:
    """Return a part as it is called in messages: ``"loss 'mse'"``."""
    return f"{part.kind} '{part.type_name}'"


def _advice(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    """Say what the end of a model must be for its predictions to fit the targets."""
    if prediction[:1] != target[:1]:
        return "they have different numbers of samples"
    wanted, given = math.prod(target[1:]), math.prod(prediction[1:])
    if wanted == given:
        return f"end the model with {{ type = 'reshape', shape = {list(target[1:])} }}"
    return f"the model gives {given} values a sample where the data has {wanted}"
