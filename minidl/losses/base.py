"""What a loss is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from minidl.component import C, Component, component
from minidl.graph import Tensor


class Loss(Component):
    """A scalar to minimise. Subclass it and decorate it with :func:`loss`.

    Attributes
    ----------
    task : {"classification", "regression"}
        What the targets are, and so what ``predict`` prints.
    metrics : tuple of str
        Metrics that are measured unless the config names others.
    """

    kind = "loss"
    task: ClassVar[Literal["classification", "regression"]] = "regression"
    metrics: ClassVar[tuple[str, ...]] = ()

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch: the mean over its samples, unless said otherwise."""
        raise NotImplementedError

    def output(self, prediction: Tensor) -> Tensor:
        """Return what the network's output means to a person: probabilities, not logits."""
        return prediction


def loss(name: str) -> Callable[[C], C]:
    """Declare a loss and register it under ``name``."""
    return component("loss", name)
