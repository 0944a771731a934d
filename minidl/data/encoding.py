"""From columns to numbers: receives a table and its training rows, returns inputs and targets.

What is learnt from the training rows (means, deviations, categories, classes) is kept as plain
values, so that a run can store it and later tables meet the same encoding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minidl.data.table import Labels, Table, parse_number
from minidl.errors import DataError


@dataclass(frozen=True)
class Number:
    """A numeric column, encoded as ``(value - mean) / scale``; a missing value as the mean."""

    name: str
    mean: float
    scale: float
    fill: float

    kind = "numeric"
    width = 1

    def encode(self, table: Table, out: np.ndarray) -> None:
        """Write the encoded column into ``out``, shape (rows, 1)."""
        values = table.numbers(self.name)
        filled = np.where(np.isnan(values), self.fill, values)
        out[:, 0] = (filled - self.mean) / self.scale


@dataclass(frozen=True)
class Category:
    """A column of text, one-hot; all zeros for a missing value or an unknown category."""

    name: str
    categories: tuple[str, ...]

    kind = "categorical"

    @property
    def width(self) -> int:
        """How many columns it becomes."""
        return len(self.categories)

    def encode(self, table: Table, out: np.ndarray) -> None:
        """Write the encoded column into ``out``, shape (rows, categories)."""
        indices = _translate(table.labels(self.name), self.categories)
        out[:] = indices[:, np.newaxis] == np.arange(self.width)


@dataclass(frozen=True)
class Encoder:
    """How a table becomes inputs and targets.

    Attributes
    ----------
    task : {"classification", "regression"}
    columns : tuple of Number or Category
        The inputs, in order.
    targets : tuple of str
        Names of the target columns.
    classes : tuple of str
        For classification, the name of each class.
    scales : tuple of Number
        How each target is standardised; empty where they are taken as they are.
    """

    task: Literal["classification", "regression"]
    columns: tuple[Number | Category, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    scales: tuple[Number, ...] = ()

    @property
    def kinds(self) -> dict[str, str]:
        """What each input column is to be read as."""
        return {column.name: column.kind for column in self.columns}

    @property
    def target_kinds(self) -> dict[str, str]:
        """What each target column is to be read as."""
        kind = "categorical" if self.task == "classification" else "numeric"
        return dict.fromkeys(self.targets, kind)

    def inputs(self, table: Table) -> np.ndarray:
        """Return the inputs of every row, shape (rows, features) of float32."""
        return _encoded(table, self.columns)

    def target_values(self, table: Table) -> np.ndarray:
        """Return class indices (rows,) of int64, or values (rows, targets) of float32, scaled.

        Raises
        ------
        DataError
            Naming file, line and column of a class that the encoder does not know.
        """
        if self.task == "regression":
            plain = [Number(name, 0.0, 1.0, 0.0) for name in self.targets]
            return _encoded(table, self.scales or plain)
        (name,) = self.targets
        labels = table.labels(name)
        indices = _translate(labels, self.classes)
        unknown = np.flatnonzero(indices < 0)
        if unknown.size:
            row = int(unknown[0])
            raise DataError(
                f"{table.where(row, name)}: unknown class '{labels.names[labels.codes[row]]}' "
                f"(known: {', '.join(self.classes)})"
            )
        return indices

    def state(self) -> dict[str, Any]:
        """Return the encoder in values that JSON has."""
        return {
            "task": self.task,
            "columns": [_entry(column) for column in self.columns],
            "targets": list(self.targets),
            "classes": list(self.classes),
            "scales": [_entry(scale) for scale in self.scales],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Encoder:
        """Return the encoder that :meth:`state` described.

        Raises
        ------
        DataError
            If it describes none.
        """
        try:
            columns = tuple(_column(entry) for entry in state["columns"])
            targets, classes = tuple(state["targets"]), tuple(state["classes"])
            scales = tuple(_number(entry) for entry in state.get("scales", ()))
            if state["task"] not in ("classification", "regression"):
                raise ValueError(state["task"])
            return cls(state["task"], columns, targets, classes, scales)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the stored state of the dataset is not one of a table: {error!r}"
            ) from None


def fit_number(table: Table, name: str, rows: np.ndarray, standardize: bool) -> Number:
    """Learn a numeric column from ``rows``: two passes in float64; a constant keeps scale 1."""
    values = table.numbers(name)[rows]
    values = values[~np.isnan(values)]
    if values.size == 0:
        raise DataError(
            f"{table.path}: column '{name}' has no value in the training part; put it in ignore"
        )
    mean = float(values.mean())
    deviation = _deviation(values - mean)
    constant = deviation <= 1e-12 * abs(mean)
    if not standardize:
        return Number(name, 0.0, 1.0, mean)
    return Number(name, mean, 1.0 if constant else deviation, mean)


def _deviation(centred: np.ndarray) -> float:
    """Return the root of the mean square, where squares themselves may be too great for float64."""
    largest = float(np.abs(centred).max())
    return largest * float(np.sqrt(np.mean((centred / largest) ** 2))) if largest else 0.0


def fit_category(table: Table, name: str, rows: np.ndarray, limit: int) -> Category:
    """Learn the categories of a column from ``rows``, in sorted order."""
    labels = table.labels(name)
    present = np.unique(labels.codes[rows])
    categories = sorted_names([labels.names[code] for code in present if code >= 0])
    if not categories:
        raise DataError(
            f"{table.path}: column '{name}' has no value in the training part; put it in ignore"
        )
    if len(categories) > limit:
        raise DataError(
            f"{table.path}: column '{name}' has {len(categories)} categories in the training "
            f"part, above max_categories = {limit}; put it in ignore, or raise the limit"
        )
    return Category(name, categories)


def sorted_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return ``names`` in the order of numbers if all are numbers, else of text."""
    numbers = [parse_number(name) for name in names]
    if all(number is not None for number in numbers):
        return tuple(name for _, name in sorted(zip(numbers, names, strict=True)))
    return tuple(sorted(names))


def _translate(labels: Labels, names: Sequence[str]) -> np.ndarray:
    """Return for each row the index of its text in ``names``, -1 if it is not among them."""
    known = {name: index for index, name in enumerate(names)}
    # The last entry answers for the code -1, a missing value.
    lookup = np.array([*(known.get(name, -1) for name in labels.names), -1], np.int64)
    return lookup[labels.codes]


def _encoded(table: Table, columns: Sequence[Number | Category]) -> np.ndarray:
    """Return columns side by side, shape (rows, features) of float32."""
    result = np.empty((len(table), sum(column.width for column in columns)), np.float32)
    start = 0
    for column in columns:
        column.encode(table, result[:, start : start + column.width])
        start += column.width
    return result


def _entry(column: Number | Category) -> dict[str, Any]:
    return {"kind": column.kind, **_listed(dataclasses.asdict(column))}


def _column(entry: Mapping[str, Any]) -> Number | Category:
    if entry["kind"] == Number.kind:
        return _number(entry)
    return Category(entry["name"], tuple(entry["categories"]))


def _number(entry: Mapping[str, Any]) -> Number:
    return Number(**{key: value for key, value in entry.items() if key != "kind"})


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
