"""Predictions as a person reads them: receives arrays, returns the header and rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.errors import CheckpointError

if TYPE_CHECKING:
    from minidl.training import Model

Table = tuple[list[str], list[list[Any]]]
Named = tuple[str, Sequence[Any]]
"""What names of samples are, and the name of each."""

_PLACES = {1: ["step"], 2: ["row", "column"]}
"""What the axes between the samples and the classes are called."""


def predict_table(model: Model, inputs: np.ndarray, named: Named | None = None) -> Table:
    """Return what ``model`` says of each sample of ``inputs``, stored as its dataset stores them.

    - Classes: the most probable one and the probability of each. Of sequences a row is a step, of
      images a pixel; steps that are padding are left out.
    - Questions of yes or no: the answer to each, 0 or 1, and the probability of yes. A single
      question has two classes.
    - Labels in their order, of the loss ``ctc``: their names, side by side.
    - Values: one column each.

    Where samples are ``named``, a column of their names comes first.
    """
    assert model.loss is not None and model.dataset is not None
    found, targets = model.predict(inputs), model.dataset.target_names
    if found.dtype.kind == "i":
        table = _labels(found, model.classes)
    elif model.loss.task == "regression":
        table = _values(found, targets)
    elif math.prod(found.shape[1:]) == 1:
        yes = found.reshape(-1, 1)
        table = _classes(np.concatenate([1 - yes, yes], axis=1), model.classes)
    elif model.loss.multilabel:
        table = _questions(found, targets or model.classes)
    else:
        found, classes = np.moveaxis(found, getattr(model.loss, "axis", -1), -1), model.classes
        if found.ndim > 2:
            samples = named or ("sample", range(len(found)))
            return _places(found, classes or targets, model.dataset.real_steps(inputs), samples)
        table = _classes(found, classes or targets)
    if named is None:
        return table
    (header, rows), (what, names) = table, named
    return [what, *header], [[name, *row] for name, row in zip(names, rows, strict=True)]


def save_arrays(model: Model, inputs: np.ndarray, named: Named | None, path: str) -> int:
    """Write what ``model`` predicts as it is, to a .npy or .npz file; return how many samples.

    A .npz file has the array ``predictions`` and, where they are known, ``classes`` or
    ``targets``, and ``samples``: their names.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    assert model.dataset is not None
    found = model.predict(inputs)
    names = {
        "classes": model.classes,
        "targets": model.dataset.target_names,
        "samples": () if named is None else named[1],
    }
    try:
        with Path(path).open("wb") as file:
            if path.lower().endswith(".npy"):
                np.save(file, found)
            else:
                given: dict[str, Any] = {
                    key: np.array(value) for key, value in names.items() if len(value)
                }
                np.savez(file, predictions=found, **given)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from None
    return len(found)


def _classes(probabilities: np.ndarray, classes: Sequence[str]) -> Table:
    names = _names(classes, probabilities.shape[1])
    rows = [
        [names[index], *map(_rounded, row)]
        for index, row in zip(probabilities.argmax(axis=1), probabilities, strict=True)
    ]
    return ["class", *(f"p({name})" for name in names)], rows


def _places(
    probabilities: np.ndarray, classes: Sequence[str], real: np.ndarray | None, samples: Named
) -> Table:
    """Return a row for each place of each sample: where it is, and its class."""
    shape, (what, names) = probabilities.shape[:-1], samples
    places = np.ones(shape, bool) if real is None else real
    header, rows = _classes(probabilities[places], classes)
    axes = _PLACES.get(len(shape) - 1) or [f"place_{i}" for i in range(len(shape) - 1)]
    where = [[names[sample], *place] for sample, *place in np.argwhere(places).tolist()]
    return [what, *axes, *header], [[*at, *row] for at, row in zip(where, rows, strict=True)]


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
