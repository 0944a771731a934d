"""Tables in CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt

from minidl.data.base import Dataset, dataset
from minidl.data.batches import TEST, VALIDATION, split_rows
from minidl.data.checks import check_splits
from minidl.data.encoding import Encoder, fit_category, fit_number, sorted_names
from minidl.data.parts import Part, Splits
from minidl.data.table import (
    DISTINCT_LIMIT,
    Facts,
    Format,
    Table,
    find_facts,
    no_column,
    read_names,
    read_table,
)
from minidl.errors import ConfigError, DataError
from minidl.graph import Tensor, tensor

_MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "?")


@dataset("csv")
class Csv(Dataset):
    """A table: a header, rows, numeric and categorical columns, and a target.

    Numbers are standardised by the mean and deviation of the training part; categories become
    one-hot columns, those that the training part has. A category that it has not, met later, is
    encoded as all zeros. Both are learnt once and kept with a run.

    Attributes
    ----------
    path : str
        The file: UTF-8, quoted as :mod:`csv` reads it.
    target : str or list of str
        The column to predict; several for a regression of several values, or for several
        questions whose answers are 0 and 1 (the loss ``binary_cross_entropy``).
    task : {"auto", "classification", "regression"}
        ``auto`` takes text, and whole numbers of at most 20 distinct values, for classes.
    numeric, categorical, ignore : tuple of str
        What columns hold. A column that none of them names is numeric if all its cells are
        numbers, otherwise categorical.
    missing : {"error", "mean"}
        What to do about missing cells: refuse them, or put the mean of the training part in for
        a number and all zeros for a category. A missing target is refused always.
    missing_values : tuple of str
        Cells that are missing values.
    standardize : bool
        Whether numbers are standardised.
    standardize_targets : bool
        Whether targets that are values are standardised, too, which a network learns far better
        where they are large. Predictions and metrics are in the units of the file all the same;
        the loss is not.
    max_categories : int
        How many categories a column may have.
    test_path : str
        A file of the same columns for the test part.
    test_fraction : float
        Without ``test_path``, the share of rows that make the test part; 0 for none.
    split_seed : int
        What the choice of these rows is a function of.
    delimiter : str
        What stands between cells: one character.
    columns : tuple of str
        Names of the columns, for a file without a header.
    """

    paths: ClassVar[tuple[str, ...]] = ("path", "test_path")

    path: str
    target: str | list[str]
    task: Literal["auto", "classification", "regression"] = "auto"
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    missing: Literal["error", "mean"] = "error"
    missing_values: tuple[str, ...] = _MISSING
    standardize: bool = True
    standardize_targets: bool = False
    max_categories: Annotated[int, Ge(1)] = 100
    test_path: str = ""
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    split_seed: int = 0
    delimiter: str = ","
    columns: tuple[str, ...] = ()

    _encoder: Encoder | None = field(default=None, init=False)
    _restored: bool = field(default=False, init=False)

    def load(self) -> Splits:
        """Read and encode the table.

        Raises
        ------
        DataError
            Naming file, line and column of what does not fit.
        """
        return self.splits()

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Read the table, divide it, learn the encoding from the training rows, and encode it.

        Raises
        ------
        DataError
            Naming file, line and column of what does not fit.
        """
        task, kinds = self._kinds()
        table = self._read(self.path, kinds)
        held = self.test_fraction if not self.test_path else 0.0
        labels = table.labels(self.target_names[0]).codes if task == "classification" else None
        rest, test = divide(np.arange(len(table)), held, self.split_seed, labels, TEST)
        train, valid = divide(rest, validation, seed, labels, VALIDATION)
        if not self._restored:
            self._encoder = self._fit(table, train, task, kinds)
        assert self._encoder is not None
        whole = self._encode(table)
        made = Splits(
            subset(whole, train),
            None if valid is None else subset(whole, valid),
            None if test is None else subset(whole, test),
            self._encoder.classes,
        )
        if self.test_path:
            made = replace(made, test=self._encode(self._read(self.test_path, kinds)))
        return check_splits(made, self.label)

    def read_inputs(self, path: str) -> np.ndarray:
        """Read and encode the rows of another file; columns go by name, others are ignored.

        Raises
        ------
        DataError
            Naming file, line and column of what does not fit.
        """
        if self._encoder is None:
            self.splits()
        assert self._encoder is not None
        return self._encoder.inputs(self._read(path, self._encoder.kinds))

    def state(self) -> dict[str, Any]:
        """Return the encoding; empty as long as none is learnt."""
        return {} if self._encoder is None else self._encoder.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take an encoding in; later files meet it instead of one of their own."""
        self._encoder = Encoder.from_state(state)
        self._restored = True

    @property
    def target_names(self) -> tuple[str, ...]:
        """The target columns."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    def target_units(self, values: Tensor) -> Tensor:
        """Return targets or predictions, (batch, ..., targets), in the units of the file."""
        scales = () if self._encoder is None else self._encoder.scales
        if not scales:
            return values
        wide = values if values.dtype == "float64" else values.astype("float32")
        factor, mean = (
            tensor(np.array([getattr(scale, name) for scale in scales]), dtype=wide.dtype)
            for name in ("scale", "mean")
        )
        return wide * factor + mean

    @property
    def _format(self) -> Format:
        if len(self.delimiter) != 1:
            raise ConfigError(
                f"{self.label}: delimiter must be one character, not '{self.delimiter}'"
            )
        missing = frozenset(self.missing_values)
        return Format(self.delimiter, self.columns, missing, self.target_names)

    @property
    def _aside(self) -> dict[str, str]:
        """Columns that are neither inputs nor targets but read, and what they are read as."""
        return {}

    def _is_input(self, name: str) -> bool:
        return name not in (*self.target_names, *self.ignore, *self._aside)

    def _read(self, path: str, kinds: Mapping[str, str]) -> Table:
        needed = [*self.target_names, *self._aside]
        kinds = {**kinds, **self._aside}
        complete = dict.fromkeys(needed, "fill it in, or remove the row")
        if self.missing == "error":
            complete = dict.fromkeys(kinds, 'fill it in, or set missing = "mean"') | complete
        return read_table(Path(path), self._format, kinds, complete)

    def _encode(self, table: Table) -> Part:
        assert self._encoder is not None
        return Part(self._encoder.inputs(table), self._encoder.target_values(table))

    def _kinds(self) -> tuple[Literal["classification", "regression"], dict[str, str]]:
        """Return the task, and what each column that is used is to be read as."""
        if self._restored and self._encoder is not None:
            return self._encoder.task, self._encoder.kinds | self._encoder.target_kinds
        path, form = Path(self.path), self._format
        names = read_names(path, form)
        self._check_names(names)
        given = dict.fromkeys(self.numeric, "numeric") | dict.fromkeys(
            self.categorical, "categorical"
        )
        inputs = [name for name in names if self._is_input(name)]
        if not inputs:
            raise DataError(f"{path}: no column is left for the inputs")
        asked = [name for name in inputs if name not in given]
        facts = find_facts(path, form, [*asked, *self.target_names])
        task = self._find_task([facts[name] for name in self.target_names])
        kinds = {name: given.get(name) or _kind(facts[name]) for name in inputs}
        kind = "categorical" if task == "classification" else "numeric"
        return task, kinds | dict.fromkeys(self.target_names, kind)

    def _check_names(self, names: Sequence[str]) -> None:
        roles = self._roles()
        if not self.target_names:
            raise ConfigError(f"{self.label}: target names no column")
        taken: dict[str, str] = {}
        for role, members in roles.items():
            for name in members:
                if name not in names:
                    raise DataError(no_column(Path(self.path), name, names, role))
                if name in taken:
                    raise ConfigError(
                        f"{self.label}: column '{name}' stands in {taken[name]} and in {role}"
                    )
                taken[name] = role

    def _roles(self) -> dict[str, Sequence[str]]:
        return {
            "target": self.target_names,
            "numeric": self.numeric,
            "categorical": self.categorical,
            "ignore": self.ignore,
        }

    def _find_task(self, facts: Sequence[Facts]) -> Literal["classification", "regression"]:
        if self.task == "classification" and len(facts) > 1:
            raise ConfigError(f"{self.label}: a classification has one target, not {len(facts)}")
        if self.task != "auto":
            return self.task
        if len(facts) > 1:
            return "regression"
        few_and_whole = facts[0].integral and len(facts[0].distinct) <= DISTINCT_LIMIT
        named = not facts[0].numeric
        return "classification" if named or few_and_whole else "regression"

    def _fit(
        self,
        table: Table,
        rows: np.ndarray,
        task: Literal["classification", "regression"],
        kinds: Mapping[str, str],
    ) -> Encoder:
        columns = tuple(
            fit_number(table, name, rows, self.standardize)
            if kind == "numeric"
            else fit_category(table, name, rows, self.max_categories)
            for name, kind in kinds.items()
            if self._is_input(name)
        )
        targets = self.target_names
        if task == "regression":
            scaled = targets if self.standardize_targets else ()
            scales = tuple(fit_number(table, name, rows, True) for name in scaled)
            return Encoder(task, columns, targets, (), scales)
        if self.standardize_targets:
            raise ConfigError(
                f"{self.label}: standardize_targets is for values, but the target is classes; "
                f"where it is numbers to be predicted set task = 'regression'"
            )
        return Encoder(task, columns, targets, sorted_names(table.labels(targets[0]).names))


def _kind(facts: Facts) -> str:
    return "numeric" if facts.numeric else "categorical"


def divide(
    rows: np.ndarray, fraction: float, seed: int, labels: np.ndarray | None, purpose: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Divide ``rows`` into the rest and ``fraction`` of them; None for a fraction of 0."""
    if not fraction:
        return rows, None
    classes = None if labels is None else labels[rows]
    rest, held = split_rows(len(rows), fraction, seed, classes=classes, purpose=purpose)
    return rows[rest], rows[held]


def subset(whole: Part, rows: np.ndarray) -> Part:
    """Return the samples at ``rows``, none of them copied."""
    return whole if len(rows) == len(whole) else Part(whole.inputs, whole.targets, rows)
