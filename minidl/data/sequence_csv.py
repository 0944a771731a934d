"""Sequences in CSV files: a row is a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from minidl.data.base import dataset
from minidl.data.batches import TEST, VALIDATION
from minidl.data.checks import check_splits
from minidl.data.csv_file import Csv, divide, subset
from minidl.data.encoding import Encoder, sorted_names
from minidl.data.parts import LazyArray, Part, Splits
from minidl.data.table import Facts, Table
from minidl.errors import ConfigError, DataError

NO_CLASS = -100
"""What a step that only fills a sequence up has for a target: ``ignore_index`` in PyTorch."""


class Sequences(LazyArray):
    """Runs of rows, all brought to one length, made when they are asked for.

    Parameters
    ----------
    rows : numpy.ndarray
        Shape (rows, features).
    starts, counts : numpy.ndarray
        Where each sequence begins, and of how many rows; of one that is too long the last remain.
    length : int
    padding : float
        What fills up those that are shorter.
    before : bool
        Whether the filling stands before the rows, not behind them.
    """

    def __init__(
        self,
        rows: np.ndarray,
        starts: np.ndarray,
        counts: np.ndarray,
        length: int,
        padding: float = 0.0,
        before: bool = False,
    ) -> None:
        super().__init__((len(starts), length, rows.shape[1]), rows.dtype)
        self._rows = rows
        self._ends = starts + counts
        self._counts = np.minimum(counts, length)
        self._padding = padding
        self._before = before

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return sequences, shape (sequences, length, features)."""
        length = self.shape[1]
        ends, counts = self._ends[rows][:, np.newaxis], self._counts[rows][:, np.newaxis]
        steps = np.arange(length)
        place = ends - length + steps if self._before else ends - counts + steps
        real = steps >= length - counts if self._before else steps < counts
        made = self._rows[np.where(real, place, 0)]
        made[~real] = self._padding
        return made


@dataclass(frozen=True)
class _Layout:
    """Which rows of a table, in which order, make which sequences.

    Attributes
    ----------
    order : numpy.ndarray
        The rows of the table, those of a sequence side by side.
    starts, counts : numpy.ndarray
        Place in ``order`` and number of rows of each sequence.
    targets : numpy.ndarray
        For each sequence the row of the table that has its target.
    """

    order: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    targets: np.ndarray


@dataset("sequence_csv")
class SequenceCsv(Csv):
    """Sequences of rows of a table, to be classified, labelled or continued.

    Inputs have the shape (samples, length, features), the features encoded as ``csv`` does.

    - With ``group``, the rows that have the same value there are one sequence, and have the same
      target, unless ``labels`` says otherwise. Those shorter than ``length`` are filled up with
      ``padding``, which the layer ``padding_mask`` finds; of longer ones the last rows are taken.
      Which sequences are held out is drawn.
    - Without it, the whole file is one, in the order of time, and the samples are windows of
      ``length`` rows; the target is that of the row ``horizon`` rows behind a window. Target
      columns are inputs, too. The last windows are held out: the test part is the end of the file,
      the validation part comes before it; their targets lie behind all those trained with.

    The fields of ``csv`` mean what they mean there.

    Attributes
    ----------
    group : str
        Column that tells sequences apart.
    order : str
        Column of numbers by which the rows of a sequence, or of the file, are sorted; default as
        they stand.
    length : int, optional
        Rows of a sequence. Default, with ``group``: as many as the longest to train with has.
    padding : float
        What shorter ones are filled up with. No row may have it in all features, as they are
        encoded: it could not be told from padding.
    pad : {"after", "before"}
        Where.
    horizon : int
        How many rows behind a window its target lies.
    stride : int
        How many rows one window begins behind another.
    labels : {"sequence", "step", "characters", "words"}
        What the target column holds, with ``group``: one target of a sequence; or a class of each
        row, then targets have the shape (samples, length), with -100 where sequences are filled
        up (``ignore_index`` of the loss); or the text that a sequence spells, the same in all its
        rows, for the loss ``ctc``. Its characters or its words are the classes from 1 on, class 0
        is blank, and targets have the shape (samples, labels), with -1 behind the shorter ones.
    """

    paths: ClassVar[tuple[str, ...]] = ("path", "test_path")

    group: str = ""
    order: str = ""
    length: Annotated[int, Ge(1)] | None = None
    padding: float = 0.0
    pad: Literal["after", "before"] = "after"
    horizon: Annotated[int, Ge(1)] = 1
    stride: Annotated[int, Ge(1)] = 1
    labels: Literal["sequence", "step", "characters", "words"] = "sequence"

    _length: int = field(default=0, init=False)

    def check_fields(self) -> None:
        if not self.group and self.length is None:
            raise ValueError("give group, the column that tells sequences apart, or length")
        if not self.group and self.labels != "sequence":
            raise ValueError(f"labels = '{self.labels}' needs group, which tells sequences apart")

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Read the table, divide its sequences, learn the encoding from those that train.

        Raises
        ------
        DataError
            Naming file, line and column of what does not fit.
        """
        task, kinds = self._kinds()
        table = self._read(self.path, kinds)
        layout = self._layout(table)
        held = self.test_fraction if not self.test_path else 0.0
        everything = np.arange(len(layout.starts))
        if self.group:
            classes = None
            if task == "classification" and self.labels == "sequence":
                classes = table.labels(self.target_names[0]).codes[layout.targets]
            rest, test = divide(everything, held, self.split_seed, classes, TEST)
            train, valid = divide(rest, validation, seed, classes, VALIDATION)
        else:
            rest, test = _behind(everything, held)
            train, valid = _behind(rest, validation)
        if not self._restored:
            self._length = self.length or int(layout.counts[train].max())
            self._encoder = self._fit(table, self._rows_of(layout, train), task, kinds)
        assert self._encoder is not None
        tables = [table, *([self._read(self.test_path, kinds)] if self.test_path else [])]
        width = max(map(self._most_labels, tables))
        whole = self._made(table, layout, width)
        made = Splits(
            subset(whole, train),
            None if valid is None else subset(whole, valid),
            None if test is None else subset(whole, test),
            self._encoder.classes,
        )
        for other in tables[1:]:
            made = replace(made, test=self._made(other, self._layout(other), width))
        return check_splits(made, self.label)

    def read_inputs(self, path: str) -> np.ndarray:
        """Read the sequences of another file; of one without groups, all windows there are.

        Raises
        ------
        DataError
            Naming file, line and column of what does not fit.
        """
        if self._encoder is None:
            self.splits()
        assert self._encoder is not None
        table = self._read(path, self._encoder.kinds)
        layout = self._groups(table) if self.group else self._windows(table, 0)
        return self._sequences(table, layout)[:]

    def input_names(self, path: str) -> tuple[str, Sequence[str]] | None:
        """Return what ``group`` says of each sequence."""
        if not self.group:
            return None
        return self.group, self._read(path, {}).labels(self.group).names

    @property
    def filling(self) -> float | None:
        """The padding, where sequences have rows of their own."""
        return self.padding if self.group else None

    def real_steps(self, inputs: np.ndarray) -> np.ndarray | None:
        """Return which steps are no padding, where sequences have rows of their own."""
        return (inputs != self.padding).any(axis=-1) if self.group else None

    def state(self) -> dict[str, Any]:
        """Return the encoding and the length; empty as long as none is learnt."""
        learnt = super().state()
        return {**learnt, "length": self._length} if learnt else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take an encoding and a length in; later files meet them instead of their own."""
        super().restore(state)
        if not isinstance(state.get("length"), int):
            raise DataError("the stored state of the dataset is not one of sequences: no length")
        self._length = state["length"]

    @property
    def _aside(self) -> dict[str, str]:
        read_as = {self.group: "categorical", self.order: "numeric"}
        return {name: kind for name, kind in read_as.items() if name}

    def _is_input(self, name: str) -> bool:
        past = not self.group and name in self.target_names
        return past or super()._is_input(name)

    def _roles(self) -> dict[str, Sequence[str]]:
        own = {"group": self.group, "order": self.order}
        return {**super()._roles(), **{role: [name] for role, name in own.items() if name}}

    def _find_task(self, facts: Sequence[Facts]) -> Literal["classification", "regression"]:
        found = super()._find_task(facts)
        if self.labels == "sequence":
            return found
        asked = self.task if self._is_spelled else found
        if len(facts) > 1 or asked == "regression":
            raise ConfigError(
                f"{self.label}: labels = '{self.labels}' takes one target column, of classes; "
                f"where they are numbers set task = 'classification'"
            )
        return "classification"

    def _fit(
        self,
        table: Table,
        rows: np.ndarray,
        task: Literal["classification", "regression"],
        kinds: Mapping[str, str],
    ) -> Encoder:
        encoder = super()._fit(table, rows, task, kinds)
        if not self._is_spelled:
            return encoder
        labels = {label for text in encoder.classes for label in self._parts_of(text)}
        return replace(encoder, classes=("", *sorted_names(list(labels))))

    def _layout(self, table: Table) -> _Layout:
        if not self.group:
            return self._windows(table, self.horizon)
        layout = self._groups(table)
        for name in self.target_names if self.labels != "step" else ():
            self._check_same(table, layout, name)
        return layout

    def _groups(self, table: Table) -> _Layout:
        codes = table.labels(self.group).codes
        keys = [codes]
        if self.order:
            keys.insert(0, table.numbers(self.order))
        order = np.lexsort(keys)
        counts = np.bincount(codes)
        ends = np.cumsum(counts)
        return _Layout(order, ends - counts, counts, order[ends - 1])

    def _windows(self, table: Table, ahead: int) -> _Layout:
        rows = np.arange(len(table))
        order = np.argsort(table.numbers(self.order), kind="stable") if self.order else rows
        length = self.length
        assert length is not None
        starts = rows[: max(0, len(table) - length - ahead + 1) : self.stride]
        if len(starts) == 0:
            behind = f" and a target {ahead} behind it" if ahead else ""
            raise DataError(
                f"{table.path}: {len(table)} rows make no window of length = {length}{behind}"
            )
        counts = np.full(len(starts), length)
        return _Layout(order, starts, counts, order[starts + length - 1 + ahead])

    def _check_same(self, table: Table, layout: _Layout, name: str) -> None:
        """Raise DataError unless all rows of a sequence have the same target."""
        column = table.columns[name]
        values = column if isinstance(column, np.ndarray) else column.codes
        group = table.labels(self.group)
        wrong = np.flatnonzero(values != values[layout.targets][group.codes])
        if wrong.size:
            row = int(wrong[0])
            raise DataError(
                f"{table.where(row, name)}: is not what the last row of the sequence "
                f"'{group.names[group.codes[row]]}' has; a sequence has one target"
            )

    def _rows_of(self, layout: _Layout, chosen: np.ndarray) -> np.ndarray:
        """Return the rows of the table that the sequences ``chosen`` are made of."""
        used = np.zeros(len(layout.order) + 1, np.int64)
        np.add.at(used, layout.starts[chosen], 1)
        np.add.at(used, layout.starts[chosen] + layout.counts[chosen], -1)
        return layout.order[np.cumsum(used[:-1]) > 0]

    def _sequences(self, table: Table, layout: _Layout) -> Sequences:
        assert self._encoder is not None
        with np.errstate(over="ignore"):
            rows = self._encoder.inputs(table)
        wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if wrong.size:
            line = table.lines[wrong[0]]
            raise DataError(f"{table.path}:{line}: has a number too great for float32")
        if self.group:
            self._check_padding(table, rows)
        return self._cut(rows, layout, self.padding)

    def _check_padding(self, table: Table, rows: np.ndarray) -> None:
        """Raise DataError if a row cannot be told from padding."""
        wrong = np.flatnonzero((rows == self.padding).all(axis=1))
        if wrong.size:
            row, group = int(wrong[0]), table.labels(self.group)
            free = min(-99, int(rows.min()) - 1)
            again = ", and train again" if self._restored else ""
            raise DataError(
                f"{table.path}:{table.lines[row]}: the row of the sequence "
                f"'{group.names[group.codes[row]]}' is encoded as {self.padding:g} in all "
                f"features, which is the padding; set padding in [data], and value in the layer "
                f"padding_mask, to the same number that no row has, such as {free}{again}"
            )

    def _cut(self, rows: np.ndarray, layout: _Layout, padding: float) -> Sequences:
        """Return the sequences of rows of the table, shape (sequences, length, features)."""
        before = self.pad == "before"
        starts, counts = layout.starts, layout.counts
        return Sequences(rows[layout.order], starts, counts, self._length, padding, before)

    def _made(self, table: Table, layout: _Layout, width: int) -> Part:
        assert self._encoder is not None
        inputs = self._sequences(table, layout)
        if self._is_spelled:
            return Part(inputs, self._spelled(table, layout, width))
        targets = self._encoder.target_values(table)
        if self.labels == "sequence":
            return Part(inputs, targets[layout.targets])
        return Part(inputs, self._cut(targets[:, np.newaxis], layout, NO_CLASS)[:][..., 0])

    # -- targets that are texts --------------------------------------------------------------

    @property
    def _is_spelled(self) -> bool:
        return self.labels in ("characters", "words")

    def _parts_of(self, text: str) -> Sequence[str]:
        return text if self.labels == "characters" else text.split()

    def _most_labels(self, table: Table) -> int:
        if not self._is_spelled:
            return 0
        return max(len(self._parts_of(text)) for text in table.labels(self.target_names[0]).names)

    def _spelled(self, table: Table, layout: _Layout, width: int) -> np.ndarray:
        """Return the labels of each sequence, shape (sequences, width), with -1 behind them."""
        assert self._encoder is not None
        (name,) = self.target_names
        texts = table.labels(name)
        known = {label: index for index, label in enumerate(self._encoder.classes)}
        made = np.full((len(layout.targets), width), -1)
        for sequence, row in enumerate(layout.targets):
            for place, label in enumerate(self._parts_of(texts.names[texts.codes[row]])):
                if label not in known:
                    raise DataError(f"{table.where(int(row), name)}: unknown label '{label}'")
                made[sequence, place] = known[label]
        return made


def _behind(windows: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Divide windows in time: the earlier ones, and the last ``fraction``; None for 0."""
    if not fraction:
        return windows, None
    held = max(1, round(fraction * len(windows)))
    if held >= len(windows):
        raise DataError(
            f"cannot hold out {fraction:g} of {len(windows)} windows and keep any; "
            "hold out less, or bring more rows"
        )
    return windows[:-held], windows[-held:]
