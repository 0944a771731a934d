"""The programs of a run: training and evaluation steps, one program for each size of batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.compiler import autocast, compile_graph
from minidl.graph import Graph, Program, Spec, State, Tensor, grad, placeholder
from minidl.layers import Context
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.training.model import Model
from minidl.training.update import Update


class Steps:
    """Traces, caches and runs the steps of one model.

    Parameters
    ----------
    model : Model
    loss : Loss
    metrics : sequence of Metric
    update : Update, optional
        Needed for training.
    seed : int
        Random draws are a function of it, the layer and the batch.
    reconstruct : bool
        Whether the prepared inputs are what is to be predicted, in place of the targets.
    low_precision : {"float16", "bfloat16"}, optional
        What training steps compute products in; see :func:`minidl.compiler.autocast`.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        metrics: Sequence[Metric] = (),
        update: Update | None = None,
        seed: int = 0,
        reconstruct: bool = False,
        low_precision: str | None = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.metrics = metrics
        self.update = update
        self.seed = seed
        self.reconstruct = reconstruct
        self.low_precision = low_precision
        self._programs: dict[Any, Program] = {}
        self._statistics_count: list[int] = []

    def train(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        rates: Sequence[float],
        step: int,
        *,
        draw: int | None = None,
        batches: int | None = 1,
    ) -> list[Any]:
        """Learn from one batch; returns loss and statistics (see :meth:`split`).

        Parameters
        ----------
        rates : sequence of float
            Learning rate of each of the update's optimisers.
        step : int
            Number of the update, from 1.
        draw : int, optional
            What random draws are a function of; default ``step``.
        batches : int, optional
            How many batches the update is made of, of which this is the last; None for one that
            is not the last, whose gradient is only added up.
        """
        scalar = self.model.backend.scalar
        arrays = [scalar(step if draw is None else draw, "int64")]
        if batches is not None:
            arrays += [scalar(step, "int64"), scalar(1 / batches, "float32")]
            arrays += [scalar(rate, "float32") for rate in rates]
        build = self.trace_gather if batches is None else self.trace_update
        return self._run(build, inputs, targets, arrays, self.model.state)

    def evaluate(
        self, inputs: np.ndarray, targets: np.ndarray, state: State | None = None
    ) -> list[Any]:
        """Run the network without training it; returns loss and statistics."""
        chosen = state or self.model.state
        return self._run(self.trace_evaluate, inputs, targets, [], chosen)

    def split(self, outputs: Sequence[Any]) -> tuple[float, list[list[np.ndarray]]]:
        """Part the outputs of a step into its loss and the statistics of each metric."""
        to_numpy = self.model.backend.to_numpy
        values = iter([to_numpy(output) for output in outputs])
        loss = float(next(values))
        return loss, [[next(values) for _ in range(n)] for n in self._statistics_count]

    # -- tracing -----------------------------------------------------------------------------

    def trace_update(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of a step that ends in an update of the parameters."""
        assert self.update is not None
        step, share = placeholder("step", (), "int64"), placeholder("share", ())
        rates = [placeholder(f"lr{i}", ()) for i in range(len(self.update.optimizers))]
        forward = Forward(self, inputs, targets)
        held = self._held()
        updates = self.update.apply(
            forward.gradients(held),
            forward.values,
            held,
            rates,
            step.astype("float32"),
            share if self.update.accumulate > 1 else None,
        )
        return forward.graph((step, share, *rates), {**forward.values, **held}, updates)

    def trace_gather(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of a step that only adds its gradients up."""
        assert self.update is not None
        forward = Forward(self, inputs, targets)
        held = self._held()
        updates = self.update.gather(forward.gradients(held), held)
        return forward.graph((), {**forward.values, **held}, updates)

    def trace_evaluate(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of an evaluation step."""
        forward = Forward(self, inputs, targets, training=False)
        graph = forward.graph((), forward.values, {})
        return Graph(graph.inputs[:2], graph.outputs, graph.state)

    def statistics(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        """Return the statistics of all metrics, one after another."""
        found = [metric.statistics(prediction, target) for metric in self.metrics]
        self._statistics_count = [len(statistics) for statistics in found]
        return [value for statistics in found for value in statistics]

    def _held(self) -> dict[str, Tensor]:
        assert self.update is not None
        specs = {**self.update.slots(), **self.update.sums()}
        return {name: placeholder(name, *spec) for name, spec in specs.items()}

    def _run(
        self,
        build: Callable[[Spec, Spec], Graph],
        inputs: np.ndarray,
        targets: np.ndarray,
        scalars: Sequence[Any],
        state: State,
    ) -> list[Any]:
        backend = self.model.backend
        key = (build.__name__, inputs.shape, targets.shape)
        program = self._programs.get(key)
        if program is None:
            graph = build(spec_of(inputs), spec_of(targets))
            program = self._programs[key] = compile_graph(graph, backend)
        arrays = [backend.from_numpy(inputs), backend.from_numpy(targets), *scalars]
        return program(arrays, state)


class Forward:
    """A traced forward pass: inputs, parameters, prediction, loss and statistics as nodes."""

    def __init__(self, steps: Steps, inputs: Spec, targets: Spec, training: bool = True) -> None:
        self.steps = steps
        self.inputs = placeholder("input", *inputs), placeholder("target", *targets)
        self.draw = placeholder("draw", (), "int64")
        self.values = steps.model.placeholders()
        self.context = Context(self.values, training=training, seed=steps.seed, step=self.draw)
        prepared = steps.model.prepare(self.inputs[0])
        prediction = steps.model.root(prepared, context=self.context)
        if training and steps.low_precision is not None:
            prediction = self._autocast(prediction, steps.low_precision)
        target = prepared if steps.reconstruct else self.inputs[1]
        self.loss = steps.loss(prediction, target)
        self.outputs = (self.loss, *steps.statistics(prediction, target))

    def gradients(self, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ∂LOSS/∂(parameter) for each one that is trained, by path."""
        update = self.steps.update
        assert update is not None
        trained = {path: self.values[path] for path in update.trained}
        if update.loss_scale is None:
            return grad(self.loss, trained, unused="zeros")
        scale = update.loss_scale.factor(held)
        scaled = grad(self.loss * scale, trained, unused="zeros")
        return {path: g / scale for path, g in scaled.items()}

    def _autocast(self, prediction: Tensor, low: str) -> Tensor:
        """Bring all that the layers computed to mixed precision; returns the new prediction."""
        updates, outputs = self.context.updates, self.context.outputs
        cast = iter(autocast([prediction, *updates.values(), *outputs.values()], low))
        prediction = next(cast)
        self.context.updates = {path: next(cast) for path in updates}
        self.context.outputs = {path: next(cast) for path in outputs}
        return prediction

    def graph(
        self, scalars: Sequence[Tensor], held: Mapping[str, Tensor], updates: Mapping[str, Tensor]
    ) -> Graph:
        """Return the graph with ``held`` as its state, of which ``updates`` are next values."""
        new = {**updates, **self.context.updates}
        state = tuple((old, new.get(name, old)) for name, old in held.items())
        return Graph((*self.inputs, self.draw, *scalars), self.outputs, state)


def spec_of(array: np.ndarray) -> Spec:
    """Return the shape and dtype of an array."""
    return Spec(array.shape, array.dtype.name)
