"""Ctrl-C and SIGTERM: the step in progress is finished and a checkpoint written."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import click


@contextlib.contextmanager
def stopping_on_signals(trainer: Any) -> Iterator[None]:
    """Within it, the first signal asks the trainer to stop, the second one stops at once."""
    received = False

    def stop(number: int, frame: Any) -> None:
        nonlocal received
        if received:
            raise SystemExit(128 + number)
        received = True
        trainer.interrupt(number)
        with contextlib.suppress(OSError, RuntimeError):  # in the midst of another write
            click.echo("stopping after this step; once more to stop at once", err=True)

    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
