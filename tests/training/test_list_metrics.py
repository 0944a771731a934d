"""Metrics whose result is a list: kept in a run, shown apart, and never what decides the best."""

import json

import pytest

from minidl.cli.display import lists_text, results_text
from minidl.errors import ConfigError
from minidl.training import fit


def test_a_run_keeps_a_confusion_matrix(small, tmp_path):
    config = small("training.metrics=['confusion_matrix', 'accuracy']", "data.validation=0.1")
    model = fit(config, output_dir=tmp_path / "run")
    matrix, accuracy = (model.results["test"][name] for name in ("confusion_matrix", "accuracy"))
    total, right = sum(map(sum, matrix)), sum(row[i] for i, row in enumerate(matrix))
    assert accuracy == right / total
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["confusion_matrix"] == matrix
    assert (
        json.loads((tmp_path / "run/run.json").read_text())["results"]["test"]
        == (model.results["test"])
    )
    best = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    assert best["metric"] == "accuracy"


def test_it_cannot_decide_the_best(small):
    config = small(
        "training.metrics=['confusion_matrix', 'accuracy']",
        "training.best_metric='confusion_matrix'",
    )
    with pytest.raises(ConfigError) as error:
        fit(config)
    assert "'confusion_matrix' is not measured (measured are: loss, accuracy)" in str(error.value)


def test_where_nothing_else_is_measured_the_loss_decides(small, tmp_path):
    fit(
        small("training.metrics=['confusion_matrix']", "data.validation=0.1"),
        output_dir=tmp_path / "run",
    )
    best = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    assert best["metric"] == "loss"


def test_lists_are_shown_behind_the_numbers():
    results = {"loss": 0.5, "confusion_matrix": [[120000, 3], [14, 0]], "f1": [0.25, 1.0]}
    assert results_text(results) == "loss 0.5"
    assert lists_text(results) == (
        "\nconfusion_matrix\n  120000      3\n      14      0\nf1\n  0.25    1"
    )
    assert lists_text({"loss": 0.5}) == ""
