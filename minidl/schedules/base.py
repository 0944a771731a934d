"""What a schedule is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any

from annotated_types import Ge

from minidl.component import C, Component, component


class Schedule(Component):
    """A learning rate over time. Subclass it and decorate it with :func:`schedule`.

    Calling it with a step gives the factor of that step. Whatever a schedule does begins after
    the warm-up: :meth:`factor` counts its steps, and the length of the run, from there.

    Attributes
    ----------
    warmup_steps : int
        In the first so many steps the factor rises in a straight line,
        (step + 1) / warmup_steps · factor(0); at least 0. Every schedule has this field.
    follows : str, optional
        What a validation part is measured by that it follows: ``"loss"`` or a metric.
    """

    kind = "schedule"

    warmup_steps: Annotated[int, Ge(0)] = field(default=0, kw_only=True)

    def __call__(self, step: int, total: int) -> float:
        """Return what the optimiser's ``lr`` is multiplied by, warm-up included.

        Parameters
        ----------
        step : int
            0 in the first step.
        total : int
            Number of steps of the whole run.
        """
        rest = max(total - self.warmup_steps, 1)
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps * self.factor(0, rest)
        return self.factor(step - self.warmup_steps, rest)

    @property
    def follows(self) -> str | None:
        """Name of the validation result that it follows, None if it follows none; override."""
        return None

    # -- for authors -------------------------------------------------------------------------

    def factor(self, step: int, total: int) -> float:
        """Return what the optimiser's ``lr`` is multiplied by; override.

        Parameters
        ----------
        step : int
            0 in the first step after the warm-up.
        total : int
            Number of steps after the warm-up, at least 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no factor")

    def measured(self, results: Mapping[str, float], better: Mapping[str, str]) -> None:
        """Take note of the validation part's loss and metrics, by name; after every epoch.

        ``better`` says of each whether "higher" or "lower" is better.
        """

    def state(self) -> dict[str, Any]:
        """Return what was learnt from :meth:`measured`, in values that JSON has."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""


def schedule(name: str) -> Callable[[C], C]:
    """Declare a schedule and register it under ``name``."""
    return component("schedule", name)
