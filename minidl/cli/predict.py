"""``minidl predict``: what a trained network says of new inputs."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import checkpoint_option, json_option
from minidl.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from minidl.training import Model

TABLES = (".csv", ".json", ".npy", ".npz")
TEXTS = (".txt", ".json")


@click.command("predict")
@click.argument("run", type=click.Path())
@click.option("-i", "--input", "input_path", type=click.Path(), help="New inputs; - for stdin.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="File: .csv, .json, .npy or .npz; of text .txt or .json. Default stdout.",
)
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
    spell; for other tasks the values. Pictures in a folder and sequences that have names bear
    them. A file .npy has the probabilities or values alone, .npz them and the names. A network
    that was trained on text continues --prompt by --length tokens.
    """
    if (input_path is None) == (prompt is None):
        raise click.UsageError("give either --input FILE or, for text, --prompt TEXT")
    kinds = TABLES if prompt is None else TEXTS
    kind = _kind_of(output, as_json, kinds)
    from minidl.training.pipeline import load_model
    from minidl.training.run import RunDirectory

    model = load_model(RunDirectory.open(run), checkpoint)
    if prompt is not None:
        text = model.generate(prompt, length, temperature=temperature, top_k=top_k, seed=seed)
        _put(_json({"prompt": prompt, "text": text}) if kind == ".json" else text, output)
        return
    with _file_of(str(input_path)) as path:
        count = _predict(model, path, output, kind)
    if output is not None:
        click.echo(f"{count} predictions in {output}", err=True)


def _kind_of(output: str | None, as_json: bool, kinds: Sequence[str]) -> str:
    """Return which of ``kinds`` is to be written; the first unless something else is said."""
    if output is None:
        return ".json" if as_json else kinds[0]
    kind = Path(output).suffix.lower()
    if kind not in kinds:
        raise click.UsageError(
            f"--output {output}: its ending does not say what to write; end it with "
            f"{', '.join(kinds[:-1])} or {kinds[-1]}"
        )
    if as_json and kind != ".json":
        raise click.UsageError(f"--json does not go with --output {output}")
    return kind


@contextmanager
def _file_of(path: str) -> Iterator[str]:
    """Yield the path of a file to read: ``path``, or for ``-`` one that holds stdin."""
    if path != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "stdin"
        with file.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            yield str(file)
        except DataError as error:
            raise DataError(str(error).replace(str(file), "stdin")) from None


def _predict(model: Model, path: str, output: str | None, kind: str) -> int:
    """Write what ``model`` says of the samples in a file; return how many rows that is."""
    from minidl.cli.predictions import predict_table, save_arrays

    assert model.dataset is not None
    inputs, named = model.dataset.read_inputs(path), model.dataset.input_names(path)
    if output is not None and kind in (".npy", ".npz"):
        return save_arrays(model, inputs, named, output)
    header, rows = predict_table(model, inputs, named)
    if kind == ".json":
        _put(_json([dict(zip(header, row, strict=True)) for row in rows]), output)
    else:
        _put(_csv(header, rows), output)
    return len(rows)


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
