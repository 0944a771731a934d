"""What a schedule is."""

from __future__ import annotations

from collections.abc import Callable

from minidl.component import C, Component, component


class Schedule(Component):
    """A learning rate over time. Subclass it and decorate it with :func:`schedule`."""

    kind = "schedule"

    def factor(self, step: int, total: int) -> float:
        """Return what the optimiser's ``lr`` is multiplied by.

        Parameters
        ----------
        step : int
            0 in the first step.
        total : int
            Number of steps of the whole run.
        """
        raise NotImplementedError


def schedule(name: str) -> Callable[[C], C]:
    """Declare a schedule and register it under ``name``."""
    return component("schedule", name)
