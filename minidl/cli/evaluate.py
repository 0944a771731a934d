"""``minidl evaluate``: loss and metrics of a run on a part of its data."""

from __future__ import annotations

import click

from minidl.cli.options import checkpoint_option, json_option, print_json


@click.command("evaluate")
@click.argument("run", type=click.Path())
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Part of the data.",
)
@checkpoint_option
@json_option
def command(run: str, split: str, checkpoint: str, as_json: bool) -> None:
    """Measure the run directory RUN on a part of its data."""
    from minidl.cli.display import lists_text, results_text
    from minidl.training.pipeline import evaluate

    results = evaluate(run, split, checkpoint)
    if as_json:
        print_json({"run": run, "split": split, "checkpoint": checkpoint, "results": results})
    else:
        click.echo(f"{split}  {results_text(results)}{lists_text(results)}")
