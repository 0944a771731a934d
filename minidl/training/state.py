"""The arrays of a run: receives a model and its update, brings them to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.errors import DivergedError
from minidl.graph import State
from minidl.training import tensors
from minidl.training.diagnosis import ADVICE
from minidl.training.model import Model
from minidl.training.run import Checkpoint
from minidl.training.update import Update, slot_name

TRAINED = "trained"
"""Slot of the weights themselves in a checkpoint whose model is their moving average."""


class RunState:
    """Weights, buffers, and what updates keep beside them, in the state of the model.

    Parameters
    ----------
    model : Model
        Its state is begun: slots and sums at zero, averages at the weights.
    update : Update
    """

    def __init__(self, model: Model, update: Update) -> None:
        self.model = model
        self.update = update
        self._averaged = [] if update.ema is None else list(update.trained)
        self._begin()

    def measured(self) -> State:
        """Return the weights that are measured: the averages where they are kept."""
        values = self.model.state.values
        averages = {path: values[slot_name(path, "average")] for path in self._averaged}
        return State({**values, **averages})

    def adopt_averages(self) -> None:
        """Make the averages the weights of the model, once training is over."""
        self.model.state = self.measured()

    def buffers(self) -> dict[str, Any]:
        """Return copies of what is not trained."""
        xp, values = self.model.backend.xp, self.model.state.values
        untrained = [p.path for p in self.model.parameters if not p.trainable]
        return {path: xp.asarray(values[path], copy=True) for path in untrained}

    def go_back(self, buffers: Mapping[str, Any]) -> None:
        """Undo the last run of a program, and bring back buffers from before it."""
        self.model.state.undo()
        self.model.state.values.update(buffers)

    def scalars(self, names: Mapping[str, Any]) -> dict[str, float]:
        """Return the values of some 0-d slots."""
        values = self.model.state.values
        return {name: float(self.model.backend.to_numpy(values[name])) for name in names}

    def to_arrays(self, step: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return what a checkpoint holds: the weights to use, and what training needs beside.

        Raises
        ------
        DivergedError
            If a weight is not finite.
        """
        weights = self.model.weights()
        bad = [path for path, array in weights.items() if not np.isfinite(array).all()]
        if bad:
            raise DivergedError(
                f"'{bad[0]}' was no longer finite after step {step}, which was not saved; {ADVICE}"
            )
        to_numpy, values = self.model.backend.to_numpy, self.model.state.values
        held = {name: to_numpy(values[name]) for name in self.update.slots()}
        for name in self._averaged:
            held[slot_name(name, TRAINED)] = weights[name]
            weights[name] = held[slot_name(name, "average")]
        return weights, held

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take back what :meth:`to_arrays` returned.

        Raises
        ------
        CheckpointError
            If it is of another architecture or optimiser; nothing is changed then.
        """
        specs, held = self.update.slots(), checkpoint.optimizer
        trained = {slot_name(p, TRAINED): self.update.trained[p] for p in self._averaged}
        where = str(checkpoint.path)
        tensors.check_match(held, {**specs, **trained}, f"the optimiser state in {where}")
        self.model.set_weights(checkpoint.model, f"the checkpoint {where}")
        self._begin()
        values, backend = self.model.state.values, self.model.backend
        values.update({name: backend.from_numpy(held[name]) for name in specs})
        for path in self._averaged:
            values[path] = backend.from_numpy(held[slot_name(path, TRAINED)])

    def _begin(self) -> None:
        backend, values = self.model.backend, self.model.state.values
        with backend.running():
            for name, spec in {**self.update.slots(), **self.update.sums()}.items():
                values[name] = backend.xp.zeros(spec.shape, dtype=backend.dtype(spec.dtype))
            for path in self._averaged:
                values[slot_name(path, "average")] = backend.xp.asarray(values[path], copy=True)
