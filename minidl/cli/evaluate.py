"""``minidl evaluate``: loss and metrics of a run on a part of its data."""

from __future__ import annotations

import click

from minidl.cli.options import checkpoint_option, json_option, print_json


@click.command("evaluate")
@click.argument("run", type=click.Path())
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Part of the data; default the test part, or the validation part where there is none.",
)
@checkpoint_option
@json_option
def command(run: str, split: str | None, checkpoint: str, as_json: bool) -> None:
    """Measure the run directory RUN on a part of its data."""
    from minidl.cli.display import measured_text
    from minidl.training.pipeline import load_prepared, measure_part
    from minidl.training.run import RunDirectory

    prepared = load_prepared(RunDirectory.open(run), checkpoint)
    split = split or prepared.usual_split
    results = measure_part(prepared, split)
    if as_json:
        print_json({"run": run, "split": split, "checkpoint": checkpoint, "results": results})
    else:
        click.echo(measured_text(split, results, prepared.model))
