"""The programs of a run: training and evaluation steps, one program for each size of batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.compiler import autocast, compile_graph
from minidl.errors import MinidlError, placed
from minidl.graph import Graph, Program, Spec, State, Tensor, grad, placeholder
from minidl.graph.leaves import scalar_constant
from minidl.layers import Context
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.training.meter import Measured
from minidl.training.model import Model
from minidl.training.origin import located
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
        last: bool = True,
    ) -> Measured:
        """Learn from one batch.

        Parameters
        ----------
        rates : sequence of float
            Learning rate of each of the update's optimisers.
        step : int
            Number of the update, from 1.
        draw : int, optional
            What random draws are a function of; default ``step``.
        last : bool
            Whether this batch ends with the update; otherwise its gradient is only added up.
        """
        scalar = self.model.backend.scalar
        arrays = [scalar(step if draw is None else draw, "int64")]
        if last:
            arrays.append(scalar(step, "int64"))
            arrays += [scalar(rate, "float32") for rate in rates]
        build = self.trace_update if last else self.trace_gather
        return self._run(build, inputs, targets, arrays, self.model.state)

    def evaluate(
        self, inputs: np.ndarray, targets: np.ndarray, state: State | None = None
    ) -> Measured:
        """Run the network without training it."""
        chosen = state or self.model.state
        return self._run(self.trace_evaluate, inputs, targets, [], chosen)

    # -- tracing -----------------------------------------------------------------------------

    def trace_update(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of a step that ends in an update of the parameters."""
        assert self.update is not None
        step = placeholder("step", (), "int64")
        rates = [placeholder(f"lr{i}", ()) for i in range(len(self.update.optimizers))]
        forward = Forward(self, inputs, targets)
        held = self._held()
        sums: dict[str, Tensor] = {}
        if self.update.accumulate == 1:
            gradients = forward.gradients(held)
        else:
            gradients = forward.gradients(held, summed=True)
            gradients, sums = self.update.gathered(gradients, forward.weight, held)
        count = step.astype("float32")
        updates = self.update.apply(gradients, forward.values, held, rates, count)
        return forward.graph((step, *rates), {**forward.values, **held}, {**sums, **updates})

    def trace_gather(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of a step that only adds its gradients up."""
        assert self.update is not None
        forward = Forward(self, inputs, targets)
        held = self._held()
        gradients = forward.gradients(held, summed=True)
        updates = self.update.gather(gradients, forward.weight, held)
        return forward.graph((), {**forward.values, **held}, updates)

    def trace_evaluate(self, inputs: Spec, targets: Spec) -> Graph:
        """Build the graph of an evaluation step."""
        forward = Forward(self, inputs, targets, training=False)
        graph = forward.graph((), forward.values, {})
        return Graph(graph.inputs[:2], graph.outputs, graph.state)

    def statistics(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        """Return the statistics of all metrics, one after another."""
        found = []
        for index, metric in enumerate(self.metrics):
            with placed(f"training.metrics[{index}]"):
                found.append(metric.statistics(prediction, target))
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
    ) -> Measured:
        backend, specs = self.model.backend, (spec_of(inputs), spec_of(targets))
        key = (build.__name__, *specs)
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = compile_graph(build(*specs), backend)
        arrays = [backend.from_numpy(inputs), backend.from_numpy(targets)]
        try:
            outputs = program([*arrays, *scalars], state)
        except MinidlError as error:
            forward = Forward(self, *specs, training=False)
            graph = forward.graph((), forward.values, {})
            arrays.append(backend.scalar(0, "int64"))
            loss = f"the loss '{self.loss.type_name}'"
            found = located(error, graph, arrays, self.model, forward.context, state, loss)
            with placed("loss"):
                raise found from None
        return self._measured([backend.to_numpy(value) for value in outputs])

    def _measured(self, outputs: Sequence[np.ndarray]) -> Measured:
        loss, total, weight = (float(value) for value in outputs[:3])
        values = iter(outputs[3:])
        statistics = [[next(values) for _ in range(n)] for n in self._statistics_count]
        return Measured(loss, total, weight, statistics)


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
        with placed("loss"):
            self.loss = steps.loss(prediction, target)
            counted = steps.loss.count(prediction, target)
        samples = scalar_constant(float(inputs.shape[0]), self.loss.dtype)
        self.weight = samples if counted is None else counted.astype(self.loss.dtype)
        self.total = self.loss * self.weight if steps.loss.averaged else self.loss
        statistics = steps.statistics(*self._in_units(prediction, target))
        self.outputs = (self.loss, self.total, self.weight, *statistics)

    def _in_units(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return both as a person reads them, where the dataset scaled the targets."""
        dataset = self.steps.model.dataset
        if dataset is None or self.steps.reconstruct:
            return prediction, target
        return dataset.target_units(prediction), dataset.target_units(target)

    def gradients(self, held: Mapping[str, Tensor], *, summed: bool = False) -> dict[str, Tensor]:
        """Return ∂LOSS/∂(parameter) for each one that is trained, by path.

        With ``summed`` those of ``total``, to be added to those of other batches.
        """
        update = self.steps.update
        assert update is not None
        trained = {path: self.values[path] for path in update.trained}
        if update.loss_scale is None:
            return grad(self.total if summed else self.loss, trained, unused="zeros")
        scale = update.loss_scale.factor(held)
        scaled = grad(self.loss * scale, trained, unused="zeros")
        factor = (self.weight if summed and self.steps.loss.averaged else 1.0) / scale
        return {path: g * factor for path, g in scaled.items()}

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
        frozen = set() if self.steps.update is None else self.steps.update.frozen
        buffers = {p: new for p, new in self.context.updates.items() if p not in frozen}
        new = {**updates, **buffers}
        state = tuple((old, new.get(name, old)) for name, old in held.items())
        return Graph((*self.inputs, self.draw, *scalars), self.outputs, state)


def spec_of(array: np.ndarray) -> Spec:
    """Return the shape and dtype of an array."""
    return Spec(array.shape, array.dtype.name)
