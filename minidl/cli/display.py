"""How a run shows itself: a live display on a terminal, plain lines elsewhere, on stderr."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from minidl.training.reporter import Progress, Reporter

if TYPE_CHECKING:
    from minidl.metrics import Metric
    from minidl.training import Model

SPLITS = ("train", "validation")
_BEGIN = "  epoch      time"
_LABEL = max(map(len, SPLITS))
_NO_BREAK = "\N{NO-BREAK SPACE}"


def make_reporter(quiet: bool, verbose: int, progress: bool) -> Reporter:
    """Return the reporter for what the options and the terminal allow."""
    if quiet:
        return Reporter()
    if progress and sys.stderr.isatty():
        return LiveReporter(verbose)
    return PlainReporter(verbose)


def measured_text(split: str, results: Mapping[str, Any], model: Model) -> str:
    """Return what a model's part was measured by: ``test  loss 0.0312  accuracy 98.61 %``."""
    classes = model.classes or (() if model.dataset is None else model.dataset.target_names)
    return f"{split}  {results_text(results)}{lists_text(results, model.metrics, classes)}"


def results_text(results: Mapping[str, Any]) -> str:
    """Return results as ``loss 0.0312  accuracy 98.61 %``; those that are lists are left out."""
    return "  ".join(f"{name} {number_text(name, v)}" for name, v in numbers(results).items())


def numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the results that are single numbers."""
    return {name: value for name, value in results.items() if not isinstance(value, list)}


def lists_text(
    results: Mapping[str, Any], metrics: Sequence[Metric] = (), classes: Sequence[str] = ()
) -> str:
    """Return results that are lists, as a confusion matrix is: lines to put behind the others.

    The rows and columns of what ``metrics`` measured bear the names of ``classes``, if there are
    as many.
    """
    axes = {metric.label: metric.axes for metric in metrics}
    text = ""
    for name, value in results.items():
        if isinstance(value, list):
            lines = _aligned(_grid(value, axes.get(name, ()), classes))
            text += "\n" + "\n  ".join([name, *lines])
    return text


def _grid(value: list[Any], axes: Sequence[str], classes: Sequence[str]) -> list[list[str]]:
    """Return the cells of a list, or of a list of rows, with what its axes are before them."""
    nested = bool(value) and isinstance(value[0], list)
    rows = value if nested else [[each] for each in value] if axes else [value]
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    if not axes or not cells:
        return cells
    # one of two classes is yes, of a question of yes or no
    fitting = list(classes if len(classes) == len(cells) else classes[1:])
    names = fitting if len(fitting) == len(cells) else [str(i) for i in range(len(cells))]
    body = [[name, *row] for name, row in zip(names, cells, strict=True)]
    if not nested:
        return body
    corner = " \\ ".join(axes)
    left = shutil.get_terminal_size().columns - 2 - max(map(len, [corner, *names]))
    room = max(left // len(cells) - 2, *(len(cell) for row in cells for cell in row))
    return [[corner, *(name[:room] for name in names)], *body]


def _aligned(cells: list[list[str]]) -> list[str]:
    """Return lines of cells in columns, flush right; those behind the first are equally wide."""
    width = max((len(cell) for row in cells for cell in row[1:]), default=0)
    first = max((len(row[0]) for row in cells), default=0)
    return [
        "  ".join([row[0].rjust(first), *(cell.rjust(width) for cell in row[1:])]) for row in cells
    ]


def number_text(name: str, value: float) -> str:
    """Return a metric's value, as per cent where that is how people read it."""
    return f"{value:.2%}".replace("%", " %") if "accuracy" in name else f"{value:.4g}"


def say(line: str) -> None:
    """Write a line to stderr; a run outlives the terminal or pipe that it reports to."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)


class Table:
    """Epochs and what was measured in them: in columns, or, where that is too wide, as text.

    Parameters
    ----------
    parts : mapping
        Results of the first epoch, by part.
    width : int
        Of the terminal.
    """

    def __init__(self, parts: Mapping[str, Mapping[str, float]], width: int) -> None:
        self.widths = {name: max(len(name) + 2, 10) for part in parts.values() for name in part}
        self.width = width
        above, below = " " * len(_BEGIN), _BEGIN
        for split, part in parts.items():
            names = "".join(name.rjust(self.widths[name]) for name in part)
            above += "  " + split.rjust(self.widths["loss"]).ljust(len(names))
            below += "  " + names
        self.in_columns = len(below) <= width
        self.head = [above.rstrip(), below] if self.in_columns else [_BEGIN]

    def rows(self, begin: str, parts: Mapping[str, Mapping[str, float]]) -> list[str]:
        """Return the lines of an epoch; ``begin`` stands before the first."""
        if self.in_columns:
            cells = (
                "".join(number_text(n, v).rjust(self.widths[n]) for n, v in part.items())
                for part in parts.values()
            )
            return [begin + "".join(f"  {row}" for row in cells)]
        return [begin, *(line for split, part in parts.items() for line in self._text(split, part))]

    def _text(self, split: str, part: Mapping[str, float]) -> list[str]:
        pairs = (f"{name} {number_text(name, value)}" for name, value in part.items())
        text = "  ".join(pair.replace(" ", _NO_BREAK) for pair in pairs)
        first, rest = f"    {split.ljust(_LABEL)}  ", " " * (_LABEL + 6)
        lines = textwrap.wrap(text, self.width, initial_indent=first, subsequent_indent=rest)
        return [line.replace(_NO_BREAK, " ") for line in lines]


class PlainReporter(Reporter):
    """A table with one line an epoch; nothing that floods a log file."""

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self._began = time.perf_counter()
        self._table: Table | None = None

    def started(self, progress: Progress, trained: int, fixed: int) -> None:
        self._began = time.perf_counter()
        resumed = f" from step {progress.step}" if progress.step else ""
        frozen = f" ({fixed:,} more are frozen)" if fixed else ""
        say(f"training {trained:,} parameters{frozen} for {progress.steps:,} steps{resumed}")

    def stepped(self, progress: Progress, loss: float) -> None:
        if self.verbose > 1 and progress.step % 10 == 0:
            self._print(f"step {progress.step}/{progress.steps}  loss {loss:.4g}")

    def epoch_ended(self, progress: Progress, results: Mapping[str, Mapping[str, float]]) -> None:
        parts = {split: numbers(results[split]) for split in SPLITS if split in results}
        if self._table is None:
            self._table = Table(parts, shutil.get_terminal_size().columns)
            for line in self._table.head:
                self._print(line)
        begin = f"{progress.epoch}/{progress.epochs}".rjust(7) + self._clock()
        for line in self._table.rows(begin, parts):
            self._print(line)

    def saved(self, path: str) -> None:
        if self.verbose:
            self._print(f"checkpoint {path}")

    def _print(self, line: str) -> None:
        say(line)

    def _clock(self) -> str:
        return f"{time.perf_counter() - self._began:8.1f} s"


class LiveReporter(PlainReporter):
    """A progress bar with speed and loss under the lines of the epochs that are done."""

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)
        self._display: Any = None
        self._task: Any = None
        self._last = 0.0

    def started(self, progress: Progress, trained: int, fixed: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        super().started(progress, trained, fixed)
        self._display = Bars(
            TextColumn("[bold]epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} {task.fields[unit]}"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("loss [cyan]{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._display.add_task(
            "",
            total=progress.steps,
            completed=progress.step,
            unit="steps",
            epoch="",
            speed="",
            loss="",
        )
        self._display.start()

    def stepped(self, progress: Progress, loss: float) -> None:
        now = time.perf_counter()
        if now - self._last < 0.05 and progress.step < progress.steps:
            return
        self._last = now
        self._display.update(
            self._task,
            total=progress.steps,
            completed=progress.step,
            unit="steps",
            epoch=f"{progress.epoch}/{progress.epochs}",
            speed=f"{progress.samples_per_second:,.0f} samples/s",
            loss=f"{loss:.4g}",
        )

    def measuring(self, progress: Progress, split: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if now - self._last >= 0.05:
            self._last = now
            unit = f"batches of {split}"
            self._display.update(
                self._task, total=total, completed=done, unit=unit, speed="", loss=""
            )

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._display.console.print(line, highlight=False, markup=False)

    def finished(self, progress: Progress) -> None:
        with contextlib.suppress(OSError):
            self._display.stop()
