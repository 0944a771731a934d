"""What an optimiser is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated

from annotated_types import Ge, Lt

from minidl.component import C, Component, component
from minidl.graph import Spec, Tensor


class Optimizer(Component):
    """An update rule in graph values, traced into the training step.

    Subclass it and decorate it with :func:`optimizer`.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    """

    kind = "optimizer"
    lr: Annotated[float, Ge(0), Lt(math.inf)] = 1e-3

    def slots(self, parameter: Spec) -> dict[str, Spec]:
        """Return the state it keeps for a parameter, by name; each starts at zero."""
        return {}

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the next value of one parameter and of its slots.

        Parameters
        ----------
        lr : Tensor
            Scalar: ``self.lr`` times the schedule's factor at this step.
        step : Tensor
            Scalar float: 1 in the first step.
        """
        raise NotImplementedError


def optimizer(name: str) -> Callable[[C], C]:
    """Declare an optimiser and register it under ``name``."""
    return component("optimizer", name)
