"""Whether data, network and loss go together: receives all three, raises an error if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minidl.data import Splits
from minidl.data.draws import Draws
from minidl.errors import ConfigError, DataError, DtypeError, ShapeError, placed
from minidl.graph import Spec
from minidl.training.step import Steps, spec_of

if TYPE_CHECKING:
    from minidl.config import Config

_BLOCK_BYTES = 1 << 22


def check_fit(config: Config, splits: Splits, output: Spec) -> None:
    """Raise an error if the targets are none that the network and the loss of a config reckon with.

    Targets that are made only when they are asked for are not looked at.

    Parameters
    ----------
    output : Spec
        What the network gives for a batch.

    Raises
    ------
    ShapeError
        If there are more classes than the network has outputs.
    ConfigError
        If places without a class are not ignored, or batches are too small.
    DataError
        If a target has no meaning to the loss.
    """
    _check_outputs(config, splits, output)
    _check_ignored(config, splits)
    _check_size(config, splits)
    if not config.data.reconstruct:
        _check_targets(config, splits)


def check_transforms(config: Config, splits: Splits, steps: Steps) -> None:
    """Raise an error if network, loss and metrics do not take what the transforms make of a batch.

    Raises
    ------
    ShapeError, DtypeError
    """
    size = min(config.data.batch_size, len(splits.train))
    inputs, targets = splits.train.span(0, size)
    for index, change in enumerate(config.data.transforms):
        inputs, targets = change(inputs, targets, Draws(config.seed, 0, 0, index))
    specs = spec_of(inputs), spec_of(targets)
    try:
        steps.trace_evaluate(*specs)
    except (ShapeError, DtypeError) as error:
        made = f"inputs of {specs[0]} and targets of {specs[1]}"
        found = type(error)(f"{error}; the transforms make {made} of a batch")
        found.place = error.place
        raise found from None


def _check_outputs(config: Config, splits: Splits, output: Spec) -> None:
    axis = getattr(config.loss, "axis", -1)
    given, wanted = output.shape[axis], len(splits.classes)
    if config.loss.task == "classification" and max(given, 2) < wanted:
        values = "1 value" if given == 1 else f"{given} values"
        with placed("model"):
            raise ShapeError(
                f"the model gives {values} a sample, but {config.data.dataset.label} has "
                f"{wanted} classes; end the model with a layer of units = {wanted}"
            )


def _check_ignored(config: Config, splits: Splits) -> None:
    targets = splits.train.targets
    if getattr(config.loss, "ignore_index", 0) is None and isinstance(targets, np.ndarray):
        least = targets.min(initial=0)
        if targets.dtype.kind == "i" and least < 0:
            with placed("loss"):
                raise ConfigError(
                    f"some targets of {config.data.dataset.label} are {least}, which is no class; "
                    f"set ignore_index = {least} in [loss]"
                )


def _check_size(config: Config, splits: Splits) -> None:
    loss, size = config.loss, min(config.data.batch_size, len(splits.train))
    if size < loss.least_samples:
        with placed("data.batch_size"):
            raise ConfigError(
                f"the loss '{loss.type_name}' needs batches of {loss.least_samples} samples or "
                f"more; here they have {size}"
            )


def _check_targets(config: Config, splits: Splits) -> None:
    for name, part in splits.parts():
        targets = part.targets
        if not isinstance(targets, np.ndarray) or not targets.size:
            continue
        rows = max(1, _BLOCK_BYTES // max(1, targets[:1].nbytes))
        for first in range(0, len(targets), rows):
            try:
                config.loss.check_targets(targets[first : first + rows], first)
            except ValueError as error:
                with placed("data"):
                    raise DataError(
                        f"{config.data.dataset.label}, {name} part: {error}, as the loss "
                        f"'{config.loss.type_name}' takes it"
                    ) from None
