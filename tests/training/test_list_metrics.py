"""Metrics whose result is a list: kept in a run, shown apart, and never what decides the best."""

import json

import pytest

from minidl.cli.display import lists_text, results_text
from minidl.component import make
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
    assert str(error.value) == (
        "--set training.best_metric='confusion_matrix': [training] best_metric 'confusion_matrix' "
        "is no single number, so it cannot tell which weights are best; choose one of loss, "
        "accuracy"
    )


def test_where_nothing_else_is_measured_the_loss_decides(small, tmp_path):
    fit(
        small("training.metrics=['confusion_matrix']", "data.validation=0.1"),
        output_dir=tmp_path / "run",
    )
    best = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    assert best["metric"] == "loss"


def test_lists_are_shown_behind_the_numbers():
    results = {"loss": 0.5, "counts": [[120000, 3], [14, 0]], "shares": [0.25, 1.0]}
    assert results_text(results) == "loss 0.5"
    assert lists_text(results) == ("\ncounts\n  120000  3\n      14  0\nshares\n  0.25  1")
    assert lists_text({"loss": 0.5}) == ""


def test_rows_and_columns_of_classes_are_named():
    metrics = [make("metric", "confusion_matrix"), make("metric", {"type": "f1", "name": "each"})]
    results = {"confusion_matrix": [[12, 3], [4, 20]], "each": [0.25, 1.0]}
    assert lists_text(results, metrics, ("no", "yes")).splitlines()[1:] == [
        "confusion_matrix",
        "  true \\ predicted   no  yes",
        "                no   12    3",
        "               yes    4   20",
        "each",
        "   no  0.25",
        "  yes     1",
    ]
    assert lists_text({"each": [0.25, 1.0]}, metrics, ("one",)) == "\neach\n  0  0.25\n  1     1"
    assert lists_text({"each": [0.5]}, metrics, ("no", "yes")) == "\neach\n  yes  0.5"


def test_names_of_columns_are_cut_to_what_there_is_room_for(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    text = lists_text(
        {"confusion_matrix": [[1, 2], [30, 4]]},
        [make("metric", "confusion_matrix")],
        ("aeroplane", "automobile"),
    )
    assert text.splitlines()[2:] == [
        "  true \\ predicted  aero  auto",
        "         aeroplane     1     2",
        "        automobile    30     4",
    ]
