"""The programs of a run: one training step and one evaluation step for each batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import ops
from minidl.compiler import compile_graph
from minidl.graph import Graph, Program, Spec, Tensor, grad, placeholder
from minidl.layers import Context
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.optimizers import Optimizer
from minidl.training.model import Model

CLIP_EPSILON = 1e-6


@dataclass
class TracedStep:
    """A step as a graph, before it is a program."""

    graph: Graph
    context: Context
    loss: Tensor


class Steps:
    """Traces, caches and runs the steps of one model.

    Parameters
    ----------
    model : Model
    loss : Loss
    metrics : sequence of Metric
    optimizer : Optimizer, optional
        Needed for training.
    clip_norm : float, optional
        Gradients are scaled so that their norm, all together, is at most this (Pascanu, Mikolov
        and Bengio, 2013).
    seed : int
        Random draws are a function of it, the layer and the step.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        metrics: Sequence[Metric] = (),
        optimizer: Optimizer | None = None,
        clip_norm: float | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.loss = loss
        self.metrics = metrics
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.seed = seed
        self._programs: dict[Any, Program] = {}

    def slots(self) -> dict[str, Spec]:
        """Return the state that the optimiser keeps, by name."""
        if self.optimizer is None:
            return {}
        return {
            slot_name(path, slot): spec
            for path, parameter in self._trainable().items()
            for slot, spec in self.optimizer.slots(parameter).items()
        }

    def train(self, inputs: np.ndarray, targets: np.ndarray, lr: float, step: int) -> list[Any]:
        """Run one training step; returns loss and statistics (see :meth:`split`)."""
        program = self._program("train", inputs, targets)
        backend = self.model.backend
        arrays = [
            backend.from_numpy(inputs),
            backend.from_numpy(targets),
            backend.scalar(lr, "float32"),
            backend.scalar(step, "int64"),
        ]
        return program(arrays, self.model.state)

    def evaluate(self, inputs: np.ndarray, targets: np.ndarray) -> list[Any]:
        """Run the network without training it; returns loss and statistics."""
        program = self._program("evaluate", inputs, targets)
        backend = self.model.backend
        return program([backend.from_numpy(inputs), backend.from_numpy(targets)], self.model.state)

    def split(self, outputs: Sequence[Any]) -> tuple[float, list[list[np.ndarray]]]:
        """Part the outputs of a step into its loss and the statistics of each metric."""
        to_numpy = self.model.backend.to_numpy
        values = iter(to_numpy(output) for output in outputs)
        loss = float(next(values))
        return loss, [[next(values) for _ in range(n)] for n in self._statistics_count]

    def state_names(self) -> list[str]:
        """Return the names of everything that a training step replaces."""
        return [*(p.path for p in self.model.parameters), *self.slots()]

    def trace_train(self, inputs: Spec, targets: Spec) -> TracedStep:
        """Build the graph of a training step: forward, backward, clipping, update."""
        x, y = placeholder("input", *inputs), placeholder("target", *targets)
        lr, step = placeholder("lr", ()), placeholder("step", (), "int64")
        values = self.model.placeholders()
        slots = {name: placeholder(name, *spec) for name, spec in self.slots().items()}
        context = Context(values, training=True, seed=self.seed, step=step)
        prediction = self.model.apply(x, context)
        loss = self.loss(prediction, y)
        outputs = (loss, *self._statistics(prediction, y))
        updates = self._updates(loss, values, slots, lr, step)
        updates.update(context.updates)
        held = {**values, **slots}
        state = tuple((old, updates.get(name, old)) for name, old in held.items())
        return TracedStep(Graph((x, y, lr, step), outputs, state), context, loss)

    def trace_evaluate(self, inputs: Spec, targets: Spec) -> TracedStep:
        """Build the graph of an evaluation step."""
        x, y = placeholder("input", *inputs), placeholder("target", *targets)
        values = self.model.placeholders()
        context = Context(values)
        prediction = self.model.apply(x, context)
        loss = self.loss(prediction, y)
        outputs = (loss, *self._statistics(prediction, y))
        kept = tuple((value, value) for value in values.values())
        return TracedStep(Graph((x, y), outputs, kept), context, loss)

    def _program(self, kind: str, inputs: np.ndarray, targets: np.ndarray) -> Program:
        key = (kind, inputs.shape, targets.shape)
        program = self._programs.get(key)
        if program is None:
            build = self.trace_train if kind == "train" else self.trace_evaluate
            traced = build(spec_of(inputs), spec_of(targets))
            program = self._programs[key] = compile_graph(traced.graph, self.model.backend)
        return program

    def _statistics(self, prediction: Tensor, target: Tensor) -> list[Tensor]:
        found = [metric.statistics(prediction, target) for metric in self.metrics]
        self._statistics_count = [len(statistics) for statistics in found]
        return [value for statistics in found for value in statistics]

    def _trainable(self) -> dict[str, Spec]:
        return {p.path: p.spec for p in self.model.parameters if p.trainable}

    def _updates(
        self,
        loss: Tensor,
        values: Mapping[str, Tensor],
        slots: Mapping[str, Tensor],
        lr: Tensor,
        step: Tensor,
    ) -> dict[str, Tensor]:
        assert self.optimizer is not None
        trainable = {path: values[path] for path in self._trainable()}
        gradients = clip(grad(loss, trainable, unused="zeros"), self.clip_norm)
        count = step.astype("float32")
        updates = {}
        for path, parameter in trainable.items():
            own = {
                slot: slots[slot_name(path, slot)] for slot in self.optimizer.slots(parameter.spec)
            }
            new, new_slots = self.optimizer.update(parameter, gradients[path], own, lr, count)
            updates[path] = new
            updates.update({slot_name(path, slot): value for slot, value in new_slots.items()})
        return updates


def clip(gradients: Mapping[str, Tensor], norm: float | None) -> Mapping[str, Tensor]:
    """Scale gradients by min(1, norm / ‖all gradients‖)."""
    if norm is None or not gradients:
        return gradients
    squares = [ops.sum(ops.square(g)) for g in gradients.values()]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    scale = ops.minimum(norm / (ops.sqrt(total) + CLIP_EPSILON), 1.0)
    return {path: g * scale for path, g in gradients.items()}


def slot_name(path: str, slot: str) -> str:
    """Return the name in state of an optimiser's slot: apart from that of any parameter."""
    return f"{path}:{slot}"


def spec_of(array: np.ndarray) -> Spec:
    """Return the shape and dtype of an array."""
    return Spec(array.shape, array.dtype.name)
