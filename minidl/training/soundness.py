"""What a network does that its shapes do not show: receives config, model and data.

It raises errors and returns remarks; to find out, the network is run on one sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minidl import ops
from minidl.data import Splits
from minidl.data.batches import batch_count
from minidl.errors import ConfigError, placed
from minidl.layers.position import PaddingMask
from minidl.losses.base import label_of
from minidl.training.model import Model

if TYPE_CHECKING:
    from minidl.config import Config

_LARGE = 100.0
"""Targets of this size are learnt slowly: first outputs are about 1."""


def check_network(config: Config, model: Model, splits: Splits) -> None:
    """Raise ConfigError if what the network does cannot be what was meant.

    - A mask looks for other padding than sequences are filled up with.
    - The loss takes log probabilities, and the model gives others.
    - A network of text sees the tokens that it is to predict.
    """
    _check_padding(config, model)
    _check_log_probabilities(config, model, splits)
    _check_foresight(config, model, splits)


def remarks(config: Config, model: Model, splits: Splits) -> list[str]:
    """Return what is likely a mistake, in words for whoever trains."""
    found = [
        _last_layer(config, model),
        _warm_up(config, len(splits.train)),
        _validation(config),
        _large_targets(config, splits),
        _one_class(config, splits),
    ]
    return [remark for remark in found if remark]


def _check_padding(config: Config, model: Model) -> None:
    dataset = config.data.dataset
    if dataset.filling is None:
        return
    for layer in model.root.all_layers():
        if isinstance(layer, PaddingMask) and layer.value != dataset.filling:
            with placed(layer.place):
                raise ConfigError(
                    f"{layer.label} looks for value = {layer.value:g}, but {dataset.label} fills "
                    f"sequences up with padding = {dataset.filling:g}; let both be the same"
                )


def _check_log_probabilities(config: Config, model: Model, splits: Splits) -> None:
    loss = config.loss
    if not loss.takes_log_probabilities:
        return
    inputs, _ = splits.train.span(0, 1)
    sums = ops.exp(model(inputs)).sum(axis=getattr(loss, "axis", -1)).numpy().reshape(-1)
    if not (abs(sums - 1) < 0.01).all():
        with placed("loss"):
            raise ConfigError(
                f"{label_of(loss)} takes log probabilities, but e to what the model gives the "
                f"classes adds up to {sums[0]:.4g}, not to 1; end the model with "
                f"{{ type = 'log_softmax' }}, or use the loss 'cross_entropy'"
            )


def _check_foresight(config: Config, model: Model, splits: Splits) -> None:
    dataset = config.data.dataset
    if not dataset.predicts_inputs:
        return
    inputs, _ = splits.train.span(0, 1)
    other = inputs.copy()
    last = len(splits.classes) - 1  # the largest index, which an embedding must have room for
    other[0, -1] = last if other[0, -1] != last else 0
    before, after = (model(tokens).numpy()[:, :-1] for tokens in (inputs, other))
    if (abs(before - after) <= 1e-4 * abs(before).max(initial=0)).all():
        return
    place, advice = "model", "let each place depend on those before it alone"
    for layer in model.root.all_layers():
        backward = getattr(layer, "bidirectional", False)
        if backward or getattr(layer, "causal", True) is False:
            option = "bidirectional = false" if backward else "causal = true"
            place, advice = layer.place, f"set {option} in {layer.label}"
            break
    with placed(place):
        raise ConfigError(
            f"the model sees the tokens that it is to predict: what it gives for the first ones "
            f"changes with the last one; {advice}"
        )


def _last_layer(config: Config, model: Model) -> str:
    *_, last = model.root.all_layers()
    applied = config.loss.applies
    if not applied or last.type_name not in ("softmax", "sigmoid"):
        return ""
    return (
        f"{last.label} makes probabilities, but the {label_of(config.loss)} takes logits and "
        f"applies {applied} itself; leave the layer out"
    )


def _warm_up(config: Config, samples: int) -> str:
    schedule, training = config.schedule, config.training
    if schedule is None:
        return ""
    count = batch_count(samples, config.data.batch_size, config.data.drop_last)
    steps = training.epochs * math.ceil(count / training.accumulate)
    steps = min(steps, training.max_steps or steps)
    if schedule.warmup_steps < steps:
        return ""
    return (
        f"{label_of(schedule)}: the warm-up takes {schedule.warmup_steps} steps, but the run has "
        f"only {steps}; lower warmup_steps, or train longer"
    )


def _validation(config: Config) -> str:
    dataset, share = config.data.dataset, config.data.validation
    if not dataset.validates_by or share == type(config.data).validation:
        return ""
    return (
        f"[data] validation = {share:g} does nothing with {dataset.label}: {dataset.validates_by}"
    )


def _large_targets(config: Config, splits: Splits) -> str:
    dataset, targets = config.data.dataset, splits.train.targets
    if config.data.reconstruct or getattr(dataset, "standardize_targets", True):
        return ""
    if not isinstance(targets, np.ndarray) or targets.dtype.kind != "f":
        return ""
    size = float(abs(targets).mean())
    if size < _LARGE:
        return ""
    return (
        f"the targets of {dataset.label} are {size:.3g} in size, the mean of all, far from what a "
        f"network gives at first; set standardize_targets = true"
    )


def _one_class(config: Config, splits: Splits) -> str:
    targets, rows = splits.train.targets, splits.train.rows
    if config.data.reconstruct or not splits.classes:
        return ""
    if not isinstance(targets, np.ndarray) or targets.ndim != 1:
        return ""
    targets = targets if rows is None else targets[rows]
    if len(targets) < 2 or (targets != targets[0]).any():
        return ""
    return (
        f"all {len(targets)} training samples of {config.data.dataset.label} are of the class "
        f"'{splits.classes[targets[0]]}', so there is nothing to tell apart"
    )
