"""Every registered metric at the end of a run: what scikit-learn or NumPy makes of predictions."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from minidl import registry
from minidl.training import fit
from minidl.training.pipeline import prepare

metrics = pytest.importorskip("sklearn.metrics")


def few_classes(rng):
    return rng.integers(0, 4, 100)


def tags(rng):
    """A class for each of three steps, some of them without one."""
    return np.where(rng.uniform(size=(100, 3)) < 0.2, -100, rng.integers(0, 4, (100, 3)))


def two_classes(rng):
    return rng.integers(0, 2, 100)


def questions(rng):
    return rng.integers(0, 2, (100, 3)).astype("float32")


def values(rng):
    return rng.normal(size=(100, 2)) * [1, 5] + [3, 100]


def labels(rng):
    """One to three labels, filled up with −1; 0 is blank."""
    return np.where(np.arange(3) < rng.integers(1, 4, (100, 1)), rng.integers(1, 4, (100, 3)), -1)


@dataclass
class Problem:
    """What the targets of 40 inputs are, and the loss and the outputs that go with them."""

    targets: Callable
    loss: dict
    outputs: tuple[int, ...]
    task: str = "auto"


PROBLEMS = {
    "classes": Problem(few_classes, {"type": "cross_entropy"}, (4,)),
    "tags": Problem(
        tags, {"type": "cross_entropy", "ignore_index": -100}, (3, 4), "classification"
    ),
    "pair": Problem(two_classes, {"type": "cross_entropy"}, (2,)),
    "question": Problem(two_classes, {"type": "binary_cross_entropy"}, (1,)),
    "questions": Problem(questions, {"type": "binary_cross_entropy"}, (3,)),
    "values": Problem(values, {"type": "huber"}, (2,)),
    "labels": Problem(labels, {"type": "ctc"}, (8, 4), "classification"),
}


def kept(y, p):
    """Return the classes that count and the probabilities for them, (n,) and (n, classes)."""
    y = y.reshape(-1)
    return y[y >= 0], p.reshape(y.size, -1)[y >= 0]


def said(y, p):
    """Return classes, or answers, as scikit-learn takes them: the true and the predicted."""
    if p.shape == y.shape:
        return y, p > 0.5
    if p.shape[1:] == (1,):
        return y, p[:, 0] > 0.5
    y, p = kept(y, p)
    return y, p.argmax(axis=1)


def of_counts(function, average):
    def expected(y, p):
        return function(*said(y, p), average=average, zero_division=0)

    return expected


def of_yes(function):
    """For a single question the class is yes."""

    def expected(y, p):
        return function(*said(y, p), zero_division=0)

    return expected


def perplexity(y, p):
    y, p = kept(y, p)
    return np.exp(-np.log(p[np.arange(y.size), y]).mean())


def distance(a, b):
    """The distance of Levenshtein, as a whole table."""
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, j in itertools.product(range(len(a)), range(len(b))):
        change = table[i, j] + (a[i] != b[j])
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, change)
    return table[-1, -1]


def label_error_rate(y, p):
    pairs = [(row[row >= 0], found[found >= 0]) for row, found in zip(y, p, strict=True)]
    return sum(distance(*pair) for pair in pairs) / (y >= 0).sum()


def auc(average):
    def expected(y, p):
        return metrics.roc_auc_score(y, p[:, 1] if p.shape[1:] == (2,) else p, average=average)

    return expected


CASES = [
    ("accuracy", {}, "classes", lambda y, p: metrics.accuracy_score(*said(y, p))),
    ("accuracy", {}, "tags", lambda y, p: metrics.accuracy_score(*said(y, p))),
    ("accuracy", {}, "question", lambda y, p: metrics.accuracy_score(*said(y, p))),
    ("accuracy", {}, "questions", lambda y, p: ((p > 0.5) == y).mean()),
    (
        "top_k_accuracy",
        {"k": 2},
        "tags",
        lambda y, p: metrics.top_k_accuracy_score(*kept(y, p), k=2, labels=range(4)),
    ),
    ("perplexity", {}, "classes", perplexity),
    ("perplexity", {}, "tags", perplexity),
    ("precision", {}, "classes", of_counts(metrics.precision_score, "macro")),
    ("precision", {"average": "micro"}, "questions", of_counts(metrics.precision_score, "micro")),
    ("recall", {}, "tags", of_counts(metrics.recall_score, "macro")),
    ("recall", {}, "question", of_yes(metrics.recall_score)),
    ("f1", {}, "classes", of_counts(metrics.f1_score, "macro")),
    ("f1", {}, "questions", of_counts(metrics.f1_score, "macro")),
    ("f1", {"average": "micro"}, "questions", of_counts(metrics.f1_score, "micro")),
    ("f1", {"average": "none"}, "questions", of_counts(metrics.f1_score, None)),
    ("f1", {}, "tags", of_counts(metrics.f1_score, "macro")),
    (
        "confusion_matrix",
        {},
        "tags",
        lambda y, p: metrics.confusion_matrix(*said(y, p), labels=range(4)),
    ),
    ("auc", {}, "pair", auc("macro")),
    ("auc", {}, "question", auc("macro")),
    ("auc", {}, "questions", auc("macro")),
    ("auc", {"average": "micro"}, "questions", auc("micro")),
    ("mae", {}, "values", metrics.mean_absolute_error),
    ("mse", {}, "values", metrics.mean_squared_error),
    ("rmse", {}, "values", lambda y, p: np.sqrt(metrics.mean_squared_error(y, p))),
    ("r2", {}, "values", metrics.r2_score),
    ("label_error_rate", {}, "labels", label_error_rate),
]


def config_of(problem, metric, folder):
    rng = np.random.default_rng(0)
    targets = problem.targets(rng)
    inputs = rng.normal(size=(100, 6)).astype("float32")
    np.savez(
        folder / "data.npz", x=inputs[:40], y=targets[:40], x_test=inputs[40:], y_test=targets[40:]
    )
    outputs = int(np.prod(problem.outputs))
    return {
        "name": "measured",
        "device": "cpu",
        "data": {
            "dataset": "npz",
            "path": str(folder / "data.npz"),
            "task": problem.task,
            "batch_size": 16,
            "evaluation_batch_size": 13,  # of 60: four batches of 13 and one of 8
            "validation": 0.0,
        },
        "model": {
            "layers": [
                {"type": "linear", "units": outputs},
                {"type": "reshape", "shape": list(problem.outputs)},
            ]
        },
        "loss": problem.loss,
        "optimizer": {"type": "adam", "lr": 0.05},
        "training": {"epochs": 3, "metrics": [metric]},
    }


def test_every_metric_has_a_case():
    built_in = {e.name for e in registry.entries("metric") if e.source == "minidl"}
    assert {name for name, *_ in CASES} == built_in


@pytest.mark.parametrize(
    ("name", "fields", "problem", "expected"),
    CASES,
    ids=[f"{name}-{problem}-{fields.get('average', '')}" for name, fields, problem, _ in CASES],
)
def test_it_is_what_it_says_of_the_predictions(name, fields, problem, expected, tmp_path):
    config = config_of(PROBLEMS[problem], {"type": name, **fields, "name": "mine"}, tmp_path)
    model = fit(config)
    inputs, targets = prepare(config).part("test").span(0, 60)
    wanted = expected(np.asarray(targets), model.predict(inputs))
    np.testing.assert_allclose(model.results["test"]["mine"], wanted, rtol=1e-5)
