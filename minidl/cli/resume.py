"""``minidl resume``: go on with a run, exactly as if it had never stopped."""

from __future__ import annotations

import click

from minidl.cli.options import json_option
from minidl.cli.train import resume_run, run_options


@click.command("resume")
@click.argument("run", type=click.Path())
@click.option("--epochs", type=click.IntRange(min=1), help="Train to this many epochs instead.")
@run_options
@json_option
def command(
    run: str, epochs: int | None, no_progress: bool, quiet: bool, verbose: int, as_json: bool
) -> None:
    """Go on with the run directory RUN from its last checkpoint."""
    resume_run(run, epochs, quiet, verbose, no_progress, as_json)
