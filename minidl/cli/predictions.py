"""Predictions as a person reads them: receives arrays, returns the header and rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minidl.training import Model

Table = tuple[list[str], list[list[Any]]]

_PLACES = {1: ["step"], 2: ["row", "column"]}
"""What the axes between the samples and the classes are called."""


def predict_table(model: Model, inputs: np.ndarray) -> Table:
    """Return what ``model`` says of each sample of ``inputs``, stored as its dataset stores them.

    - Classes: the most probable one and the probability of each. Of sequences a row is a step, of
      images a pixel; steps that are padding are left out.
    - Questions of yes or no: the answer to each, 0 or 1, and the probability of yes. A single
      question has two classes.
    - Labels in their order, of the loss ``ctc``: their names, side by side.
    - Values: one column each.
    """
    assert model.loss is not None and model.dataset is not None
    found = model.predict(inputs)
    if found.dtype.kind == "i":
        return _labels(found, model.classes)
    if model.loss.task == "regression":
        return _values(found, model.dataset.target_names)
    if math.prod(found.shape[1:]) == 1:
        found = found.reshape(-1, 1)
        return _classes(np.concatenate([1 - found, found], axis=1), model.classes)
    if model.loss.multilabel:
        return _questions(found, model.dataset.target_names or model.classes)
    found = np.moveaxis(found, getattr(model.loss, "axis", -1), -1)
    names = model.classes or model.dataset.target_names
    if found.ndim == 2:
        return _classes(found, names)
    return _places(found, names, model.dataset.real_steps(inputs))


def _classes(probabilities: np.ndarray, classes: Sequence[str]) -> Table:
    names = _names(classes, probabilities.shape[1])
    rows = [
        [names[index], *map(_rounded, row)]
        for index, row in zip(probabilities.argmax(axis=1), probabilities, strict=True)
    ]
    return ["class", *(f"p({name})" for name in names)], rows


def _places(probabilities: np.ndarray, classes: Sequence[str], real: np.ndarray | None) -> Table:
    """Return a row for each place of each sample: where it is, and its class."""
    shape = probabilities.shape[:-1]
    places = np.ones(shape, bool) if real is None else real
    header, rows = _classes(probabilities[places], classes)
    axes = _PLACES.get(len(shape) - 1) or [f"place_{i}" for i in range(len(shape) - 1)]
    where = np.argwhere(places).tolist()
    return ["sample", *axes, *header], [[*at, *row] for at, row in zip(where, rows, strict=True)]


def _questions(probabilities: np.ndarray, questions: Sequence[str]) -> Table:
    table = probabilities.reshape(len(probabilities), -1)
    names = _names(questions, table.shape[1])
    header = [column for name in names for column in (name, f"p({name})")]
    return header, [[v for p in row for v in (int(p > 0.5), _rounded(p))] for row in table]


def _labels(labels: np.ndarray, classes: Sequence[str]) -> Table:
    names = _names(classes, int(labels.max(initial=0)) + 1)
    between = "" if all(len(name) <= 1 for name in names) else " "
    return ["labels"], [[between.join(names[i] for i in row if i >= 0)] for row in labels]


def _values(values: np.ndarray, targets: Sequence[str]) -> Table:
    table = values.reshape(len(values), -1)
    count = table.shape[1]
    names = ["value"] if count == 1 else [f"value_{i}" for i in range(count)]
    if len(targets) == count:
        names = list(targets)
    # through text, which is shortest for float32: 0.1, not 0.10000000149011612
    return names, [[float(str(value)) for value in row] for row in table]


def _names(given: Sequence[str], count: int) -> list[str]:
    """Return the names that were given, or indices where they are not as many as needed."""
    return list(given) if len(given) >= count else [str(index) for index in range(count)]


def _rounded(probability: float) -> float:
    return round(float(probability), 6)
