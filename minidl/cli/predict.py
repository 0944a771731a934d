"""``minidl predict``: what a trained network says of new inputs."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import checkpoint_option, json_option, print_json

if TYPE_CHECKING:
    import numpy as np


@click.command("predict")
@click.argument("run", type=click.Path())
@click.option("-i", "--input", "input_path", required=True, type=click.Path(), help="New inputs.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="CSV file; default stdout.")
@checkpoint_option
@json_option
def command(run: str, input_path: str, output: str | None, checkpoint: str, as_json: bool) -> None:
    """Predict with the run directory RUN for every sample in a file.

    The file is what the run's dataset reads: a CSV file, .npy or .npz arrays, IDX or image files.
    Prints CSV: for classes the most probable one and the probability of each, for other tasks the
    values.
    """
    from minidl.training.pipeline import load_prepared
    from minidl.training.run import RunDirectory

    prepared = load_prepared(RunDirectory.open(run), checkpoint)
    inputs = prepared.config.data.dataset.read_inputs(input_path)
    predictions = prepared.model.predict(inputs)
    if prepared.config.loss.task == "classification":
        header, rows = _class_table(predictions, prepared.splits.classes)
    else:
        header, rows = _value_table(predictions)
    if as_json:
        print_json([dict(zip(header, row, strict=True)) for row in rows])
    elif output is not None:
        with click.open_file(output, "w") as file:
            _write(file, header, rows)
        click.echo(f"{len(rows)} predictions in {output}", err=True)
    else:
        _write(sys.stdout, header, rows)


def _class_table(
    probabilities: np.ndarray, classes: tuple[str, ...]
) -> tuple[list[str], list[list[Any]]]:
    import numpy as np

    table = probabilities.reshape(len(probabilities), -1)
    if table.shape[1] == 1:
        table = np.concatenate([1 - table, table], axis=1)
    names = list(classes) or [str(index) for index in range(table.shape[1])]
    header = ["class", *(f"p({name})" for name in names)]
    best = table.argmax(axis=1)
    return header, [
        [names[index], *(round(float(p), 6) for p in row)]
        for index, row in zip(best, table, strict=True)
    ]


def _value_table(values: np.ndarray) -> tuple[list[str], list[list[Any]]]:
    table = values.reshape(len(values), -1)
    names = ["value"] if table.shape[1] == 1 else [f"value_{i}" for i in range(table.shape[1])]
    return names, [[float(value) for value in row] for row in table]


def _write(file: Any, header: list[str], rows: list[list[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
