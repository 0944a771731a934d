"""How a run shows itself: a live display on a terminal, plain lines elsewhere, on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from minidl.training.reporter import Progress, Reporter

SPLITS = ("train", "validation")


def make_reporter(quiet: bool, verbose: int, progress: bool) -> Reporter:
    """Return the reporter for what the options and the terminal allow."""
    if quiet:
        return Reporter()
    if progress and sys.stderr.isatty():
        return LiveReporter(verbose)
    return PlainReporter(verbose)


def results_text(results: Mapping[str, Any]) -> str:
    """Return results as ``loss 0.0312  accuracy 98.61 %``; those that are lists are left out."""
    return "  ".join(f"{name} {number_text(name, v)}" for name, v in numbers(results).items())


def numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the results that are single numbers."""
    return {name: value for name, value in results.items() if not isinstance(value, list)}


def lists_text(results: Mapping[str, Any]) -> str:
    """Return results that are lists, as a confusion matrix is: lines to put behind the others."""
    text = ""
    for name, value in results.items():
        if isinstance(value, list):
            rows = value if value and isinstance(value[0], list) else [value]
            cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
            width = max((len(cell) for row in cells for cell in row), default=0)
            lines = [" ".join(cell.rjust(width) for cell in row) for row in cells]
            text += "\n" + "\n  ".join([name, *lines])
    return text


def number_text(name: str, value: float) -> str:
    """Return a metric's value, as per cent where that is how people read it."""
    return f"{value:.2%}".replace("%", " %") if "accuracy" in name else f"{value:.4g}"


def say(line: str) -> None:
    """Write a line to stderr; a run outlives the terminal or pipe that it reports to."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)


class PlainReporter(Reporter):
    """A table with one line an epoch; nothing that floods a log file."""

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self._began = time.perf_counter()
        self._has_head = False

    def started(self, progress: Progress, parameters: int) -> None:
        self._began = time.perf_counter()
        resumed = f" from step {progress.step}" if progress.step else ""
        say(f"training {parameters:,} parameters for {progress.steps:,} steps{resumed}")

    def stepped(self, progress: Progress, loss: float) -> None:
        if self.verbose > 1 and progress.step % 10 == 0:
            self._print(f"step {progress.step}/{progress.steps}  loss {loss:.4g}")

    def epoch_ended(self, progress: Progress, results: Mapping[str, Mapping[str, float]]) -> None:
        parts = {split: numbers(results[split]) for split in SPLITS if split in results}
        widths = {name: max(len(name) + 2, 10) for part in parts.values() for name in part}
        if not self._has_head:
            self._has_head = True
            self._head(parts, widths)
        row = f"{progress.epoch}/{progress.epochs}".rjust(7) + self._clock()
        for part in parts.values():
            cells = (number_text(name, value).rjust(widths[name]) for name, value in part.items())
            row += "  " + "".join(cells)
        self._print(row)

    def _head(self, parts: Mapping[str, Mapping[str, float]], widths: Mapping[str, int]) -> None:
        """Print what stands in each column: the part above, its loss and metrics below."""
        above, below = " " * 17, "  epoch      time"
        for split, part in parts.items():
            names = "".join(name.rjust(widths[name]) for name in part)
            above += "  " + split.rjust(widths["loss"]).ljust(len(names))
            below += "  " + names
        self._print(above.rstrip())
        self._print(below)

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

    def started(self, progress: Progress, parameters: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        super().started(progress, parameters)
        self._display = Bars(
            TextColumn("[bold]epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} steps"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("loss [cyan]{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._display.add_task(
            "", total=progress.steps, completed=progress.step, epoch="", speed="", loss=""
        )
        self._display.start()

    def stepped(self, progress: Progress, loss: float) -> None:
        now = time.perf_counter()
        if now - self._last < 0.05 and progress.step < progress.steps:
            return
        self._last = now
        self._display.update(
            self._task,
            completed=progress.step,
            epoch=f"{progress.epoch}/{progress.epochs}",
            speed=f"{progress.samples_per_second:,.0f} samples/s",
            loss=f"{loss:.4g}",
        )

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._display.console.print(line, highlight=False, markup=False)

    def finished(self, progress: Progress) -> None:
        with contextlib.suppress(OSError):
            self._display.stop()
