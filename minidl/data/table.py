"""A CSV file as columns: receives a file and what its columns hold, returns arrays.

Two passes over the file, so that no cell is kept as text: the first finds what the columns hold,
the second reads them into arrays. Cells are stripped of blanks around them.
"""

from __future__ import annotations

import csv
import functools
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidl.errors import DataError, suggestion

DISTINCT_LIMIT = 20
"""How many distinct values of a column are counted, at most."""


@dataclass(frozen=True)
class Format:
    """How a file is written.

    Attributes
    ----------
    delimiter : str
        What stands between cells.
    columns : tuple of str
        Names of the columns of a file without a header; empty if its first row has them.
    missing_values : tuple of str
        Cells that stand for a missing value.
    optional : tuple of str
        Those of ``columns`` that a file may lack, all of them together: the targets.
    """

    delimiter: str = ","
    columns: tuple[str, ...] = ()
    missing_values: frozenset[str] = frozenset(("",))
    optional: tuple[str, ...] = ()


@dataclass
class Facts:
    """What the cells of a column have in common; missing ones do not count.

    Attributes
    ----------
    numeric, integral : bool
        Whether all are numbers, and whole ones.
    distinct : set of str
        The different cells, up to one more than :data:`DISTINCT_LIMIT`.
    """

    numeric: bool = True
    integral: bool = True
    distinct: set[str] = field(default_factory=set)

    def learn(self, cell: str) -> None:
        """Take one more cell into account."""
        if len(self.distinct) <= DISTINCT_LIMIT:
            self.distinct.add(cell)
        if self.numeric:
            value = parse_number(cell)
            self.numeric = value is not None
            self.integral = self.integral and value is not None and value.is_integer()

    @property
    def settled(self) -> bool:
        """Whether no further cell can change anything that matters."""
        return not self.numeric and len(self.distinct) > DISTINCT_LIMIT


@dataclass(frozen=True)
class Labels:
    """A column of text: for each row the index of its text in ``names``, -1 where missing."""

    codes: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Columns of a file by name: float64 with NaN where missing, or :class:`Labels`."""

    path: Path
    columns: Mapping[str, np.ndarray | Labels]
    places: Mapping[str, int]
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column that was read as numbers."""
        column = self.columns[name]
        assert isinstance(column, np.ndarray)
        return column

    def labels(self, name: str) -> Labels:
        """Return a column that was read as text."""
        column = self.columns[name]
        assert isinstance(column, Labels)
        return column

    def where(self, row: int, name: str) -> str:
        """Return the place of a cell in messages: file, line and column."""
        return place(self.path, int(self.lines[row]), self.places[name], name)


def place(path: Path, line: int, index: int, name: str) -> str:
    """Return a cell's place: ``"houses.csv:3:2: column 'area'"``, counting from 1."""
    return f"{path}:{line}:{index + 1}: column '{name}'"


def parse_number(cell: str) -> float | None:
    """Return the number that ``cell`` is, or None; ``1_000`` is none, though Python takes it."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if "_" in cell else value


def read_names(path: Path, form: Format) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    DataError
        If the file is missing, empty or not UTF-8, or a name is missing or doubled.
    """
    with _Rows(path, form) as rows:
        return rows.names


def read_numbers(path: Path) -> np.ndarray:
    """Read a file of numbers alone, with a header or without, into (rows, columns) of float64.

    Raises
    ------
    DataError
        Naming file, line and column of a cell that is not a finite number.
    """
    with _Rows(path, Format()) as rows:
        first = rows.first
    headless = all(parse_number(cell) is not None for cell in first)
    form = Format(columns=tuple(map(str, range(len(first))))) if headless else Format()
    names = list(form.columns) or first
    table = read_table(
        path, form, dict.fromkeys(names, "numeric"), dict.fromkeys(names, "fill it in")
    )
    return np.stack([table.numbers(name) for name in names], axis=1)


def find_facts(path: Path, form: Format, wanted: Sequence[str]) -> dict[str, Facts]:
    """Return what the columns ``wanted`` hold, from a pass over the whole file."""
    facts = {name: Facts() for name in wanted}
    with _Rows(path, form) as rows:
        places = rows.places(wanted)
        for _, cells in rows:
            for name, index in places.items():
                cell = cells[index]
                if cell not in form.missing_values and not facts[name].settled:
                    facts[name].learn(cell)
    return facts


def read_table(
    path: Path, form: Format, kinds: Mapping[str, str], complete: Mapping[str, str]
) -> Table:
    """Read the columns that ``kinds`` names.

    Parameters
    ----------
    kinds : Mapping
        For each column ``"numeric"`` or ``"categorical"``.
    complete : Mapping
        Columns in which no cell may be missing, with what to do about it.

    Raises
    ------
    DataError
        Naming file, line and column of a cell that is missing or not a finite number.
    """
    lines = array("q")
    with _Rows(path, form) as rows:
        places = rows.places(list(kinds))
        readers = {
            name: (_Numbers if kind == "numeric" else _Texts)(form.missing_values)
            for name, kind in kinds.items()
        }
        work = [(readers[name].add, index, name) for name, index in places.items()]
        for line, cells in rows:
            lines.append(line)
            for add, index, name in work:
                problem = add(cells[index])
                if problem == _MISSING and name not in complete:
                    continue
                if problem:
                    advice = f"; {complete[name]}" if problem == _MISSING else ""
                    raise DataError(f"{place(path, line, index, name)}: {problem}{advice}")
    if not lines:
        raise DataError(f"{path}: has no rows of data")
    columns = {name: reader.result() for name, reader in readers.items()}
    return Table(path, columns, places, np.array(lines))


_MISSING = "the value is missing"


class _Numbers:
    """Gathers a column of numbers."""

    def __init__(self, missing: frozenset[str]) -> None:
        self.values = array("d")
        self.missing = missing

    def add(self, cell: str) -> str | None:
        """Take in a cell, and return what is wrong with it."""
        value = math.nan if cell in self.missing else parse_number(cell)
        if value is None:
            return f"'{cell}' is not a number"
        self.values.append(value)
        if math.isfinite(value):
            return None
        return _MISSING if cell in self.missing else f"'{cell}' is not a finite number"

    def result(self) -> np.ndarray:
        return np.array(self.values)


class _Texts:
    """Gathers a column of text as indices."""

    def __init__(self, missing: frozenset[str]) -> None:
        self.codes = array("i")
        self.names: dict[str, int] = {}
        self.missing = missing

    def add(self, cell: str) -> str | None:
        """Take in a cell, and return what is wrong with it."""
        if cell in self.missing:
            self.codes.append(-1)
            return _MISSING
        self.codes.append(self.names.setdefault(cell, len(self.names)))
        return None

    def result(self) -> Labels:
        return Labels(np.array(self.codes), tuple(self.names))


class _Rows:
    """The rows of an open file as (line, cells), each as long as the header."""

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        self.form = form

    def __enter__(self) -> _Rows:
        try:
            self._file = self.path.open(encoding="utf-8-sig", newline="")
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        self._reader = csv.reader(self._file, delimiter=self.form.delimiter, strict=True)
        self._held: list[str] | None = None
        try:
            self.first = self._first()
        except DataError:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        width = len(self.names)
        while (cells := self._next()) is not None:
            if len(cells) != width:
                raise DataError(
                    f"{self.path}:{self._reader.line_num}: {len(cells)} cells where {width} "
                    "columns are named; are delimiter and quotes right?"
                )
            yield self._reader.line_num, cells

    def places(self, wanted: Sequence[str]) -> dict[str, int]:
        """Return the index of each wanted column."""
        for name in wanted:
            if name not in self.names:
                raise DataError(no_column(self.path, name, self.names))
        return {name: self.names.index(name) for name in wanted}

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the columns."""
        names = list(self.form.columns) or self.first
        needed = [name for name in names if name not in self.form.optional]
        if self.form.columns and len(self.first) == len(needed):
            names = needed
        for index, name in enumerate(names):
            if not name or name in names[:index]:
                problem = (
                    f"'{name}' names two columns" if name else f"column {index + 1} has no name"
                )
                raise DataError(f"{self.path}:{self._reader.line_num}: {problem}")
        return names

    def _first(self) -> list[str]:
        first = self._next()
        if first is None:
            raise DataError(f"{self.path}: is empty")
        if self.form.columns:
            self._held = first
        return first

    def _next(self) -> list[str] | None:
        """Return the next row that is not blank, None at the end."""
        if self._held is not None:
            held, self._held = self._held, None
            return held
        try:
            for row in self._reader:
                cells = [cell.strip() for cell in row]
                if len(cells) > 1 or any(cells):
                    return cells
        except csv.Error as error:
            raise DataError(
                f"{self.path}:{self._reader.line_num}: not a CSV row: {error}"
            ) from None
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}:{_undecodable_line(self.path)}: not UTF-8 text ({error.reason}); "
                "save the file as UTF-8"
            ) from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        return None


def no_column(path: Path, name: str, names: Sequence[str], role: str = "") -> str:
    """Return the message that a file lacks a column."""
    wanted = f"column '{name}'" + (f" for {role}" if role else "")
    return f"{path}: has no {wanted}{suggestion(name, names)} (it has {', '.join(names)})"


def _undecodable_line(path: Path) -> int:
    """Return the first line that is not UTF-8; text files are decoded in blocks, not in lines."""
    with path.open("rb") as file:
        return next(number for number, line in enumerate(file, 1) if not _is_utf_8(line))


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
