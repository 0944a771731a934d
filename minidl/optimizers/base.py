"""What an optimiser is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from minidl.component import C, Component, component, config_fields, validate
from minidl.errors import ConfigError
from minidl.graph import Spec, Tensor
from minidl.optimizers.fields import LearningRate


class Optimizer(Component):
    """An update rule in graph values, traced into the training step.

    Subclass it and decorate it with :func:`optimizer`.

    Attributes
    ----------
    lr : float
        Learning rate, before the schedule's factor.
    groups : list of tables
        Parameters that are treated otherwise. ``match`` is a pattern, or a list of them, for
        their paths (``"*.bias"``, ``"linear_0.*"``); ``frozen = true`` leaves them as they are;
        any other key is a field of the optimiser with the value it has for them. The first group
        that matches decides.
    """

    kind = "optimizer"
    lr: LearningRate = 1e-3
    groups: list[dict[str, Any]] = field(default_factory=list, kw_only=True)

    def check_fields(self) -> None:
        for index, group in enumerate(self.groups):
            self._check_group(index, group)

    def _check_group(self, index: int, group: Mapping[str, Any]) -> None:
        match = group.get("match")
        patterns = match if isinstance(match, list) else [match]
        if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
            raise ValueError(f"groups[{index}] needs match, a pattern or a list of patterns")
        if not isinstance(group.get("frozen", False), bool):
            raise ValueError(f"groups[{index}].frozen must be true or false")
        changes = {key: value for key, value in group.items() if key not in ("match", "frozen")}
        if "groups" in changes:
            raise ValueError(f"groups[{index}] cannot hold groups")
        try:
            validate(type(self), {**self._own_fields(), **changes})
        except ConfigError as error:
            raise ValueError(f"groups[{index}]: {error}") from None

    def variant(self, changes: Mapping[str, Any]) -> Optimizer:
        """Return this optimiser without groups and with some fields changed."""
        return type(self)(**{**self._own_fields(), **changes})

    def _own_fields(self) -> dict[str, Any]:
        fields = config_fields(type(self))
        return {f.name: getattr(self, f.name) for f in fields if f.name != "groups"}

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
