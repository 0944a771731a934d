"""``minidl predict``: what a trained network says of new inputs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click

from minidl.cli.options import checkpoint_option, json_option
from minidl.errors import CheckpointError


@click.command("predict")
@click.argument("run", type=click.Path())
@click.option("-i", "--input", "input_path", type=click.Path(), help="New inputs.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File; default stdout.")
@click.option("-p", "--prompt", help="For a network of text: what to continue.")
@click.option("--length", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Below 1 keeps to what is likely; 0 always takes the likeliest.",
)
@click.option("--top-k", type=click.IntRange(min=1), help="Draw from so many likeliest tokens.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@checkpoint_option
@json_option
def command(
    run: str,
    input_path: str | None,
    output: str | None,
    prompt: str | None,
    length: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    checkpoint: str,
    as_json: bool,
) -> None:
    """Predict with the run directory RUN for every sample in a file, or continue a text.

    The file is what the run's dataset reads: a CSV file, .npy or .npz arrays, IDX or image files.
    Prints CSV: for classes the most probable one and the probability of each, a row for each step
    of a sequence; for several questions of yes or no the answers; for labels in order what they
    spell; for other tasks the values. A network that was trained on text continues --prompt by
    --length tokens.
    """
    if (input_path is None) == (prompt is None):
        raise click.UsageError("give either --input FILE or, for text, --prompt TEXT")
    from minidl.training.pipeline import load_model
    from minidl.training.run import RunDirectory

    model = load_model(RunDirectory.open(run), checkpoint)
    if prompt is not None:
        text = model.generate(prompt, length, temperature=temperature, top_k=top_k, seed=seed)
        _put(_json({"prompt": prompt, "text": text}) if as_json else text, output)
        return
    from minidl.cli.predictions import predict_table

    assert model.dataset is not None
    header, rows = predict_table(model, model.dataset.read_inputs(str(input_path)))
    named = [dict(zip(header, row, strict=True)) for row in rows]
    _put(_json(named) if as_json else _csv(header, rows), output)
    if output is not None:
        click.echo(f"{len(rows)} predictions in {output}", err=True)


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().removesuffix("\n")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _put(text: str, output: str | None) -> None:
    """Write a text to a file or to stdout."""
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"cannot write {output}: {error.strerror}") from None
