"""Measuring a part of the data: receives steps and a part, returns loss and metrics by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minidl.component import make
from minidl.data import Part, batches
from minidl.data.batches import batch_count
from minidl.errors import ConfigError, placed
from minidl.graph import State
from minidl.metrics import Metric
from minidl.training.meter import Meter
from minidl.training.step import Steps

if TYPE_CHECKING:
    from minidl.config import Config
    from minidl.training.model import Model


def measure(
    steps: Steps,
    part: Part,
    batch_size: int,
    state: State | None = None,
    each: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Return loss and metrics of a whole part, by name.

    Parameters
    ----------
    state : State, optional
        The weights to measure with; default those of the model.
    each : callable, optional
        Told before each batch how many batches are done, and of how many.
    """
    meter = Meter(steps.metrics)
    total = batch_count(len(part), batch_size)
    for done, (inputs, targets) in enumerate(batches(part, batch_size, shuffle=False)):
        if each is not None:
            each(done, total)
        meter.add(steps.evaluate(inputs, targets, state))
    return meter.result()


def measuring_steps(model: Model) -> Steps:
    """Return the steps that measure a model, without training it.

    Raises
    ------
    ConfigError
        If it was made without a loss.
    """
    if model.loss is None:
        raise ConfigError("the model was made without a loss; give one: Model(..., loss=...)")
    return Steps(model, model.loss, model.metrics, reconstruct=model.reconstruct)


def evaluation_batch_size(config: Config) -> int:
    """Return how many samples are measured at a time."""
    return config.data.evaluation_batch_size or max(config.data.batch_size, 256)


def metrics_of(config: Config) -> Sequence[Metric]:
    """Return the metrics that the config names, or those that its loss brings.

    Raises
    ------
    ConfigError
        If results of two would go by one name.
    """
    named = config.training.metrics
    chosen = [make("metric", m) for m in (config.loss.metrics if named is None else named)]
    labels = ["loss", *(metric.label for metric in chosen)]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        with placed("training.metrics"):
            raise ConfigError(
                f"[training] metrics: two results are called '{twice}'; give one metric a name of "
                f"its own: {{ type = ..., name = ... }}"
            )
    suited = []
    for index, metric in enumerate(chosen):
        with placed(f"training.metrics[{index}]"):
            suited.append(metric.suited_to(config.loss))
    return suited
