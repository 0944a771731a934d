"""What a run tells whoever watches it: the command line, a notebook, a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    step, steps : int
        Training steps done, and of the whole run.
    epoch, epochs : int
        The epoch it is in, from 1, and how many there are.
    samples_per_second : float
        Since the epoch began.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    samples_per_second: float = 0.0


class Reporter:
    """Receives the events of a run; override what is of interest."""

    def started(self, progress: Progress, trained: int, fixed: int) -> None:
        """Training begins, or goes on after a resume.

        ``trained`` is how many values are trained, ``fixed`` how many that could be are frozen.
        """

    def stepped(self, progress: Progress, loss: float) -> None:
        """A step is done."""

    def measuring(self, progress: Progress, split: str, done: int, total: int) -> None:
        """A part is being measured: ``done`` of ``total`` batches are."""

    def measured(self, progress: Progress, split: str, results: Mapping[str, float]) -> None:
        """A part was measured: ``split`` is ``validation`` or ``test``."""

    def epoch_ended(self, progress: Progress, results: Mapping[str, Mapping[str, float]]) -> None:
        """An epoch is over: results of the training and, if there is one, validation part."""

    def saved(self, path: str) -> None:
        """A checkpoint was written."""

    def finished(self, progress: Progress) -> None:
        """The run is over, in whatever way."""
