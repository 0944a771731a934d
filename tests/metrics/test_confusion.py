"""Precision, recall, F1 and confusion matrices: by hand and against scikit-learn."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.graph import tensor


def measure(metric, predictions, targets, batch=7):
    made = make("metric", metric)
    total = None
    for start in range(0, len(targets), batch):
        p, y = predictions[start : start + batch], targets[start : start + batch]
        values = [
            np.asarray(value.numpy(), "float64") for value in made.statistics(tensor(p), tensor(y))
        ]
        kept = made.reduce(values)
        total = kept if total is None else made.merge(total, kept)
    return made.result(total)


def logits_of(said, classes):
    return np.eye(classes, dtype="float32")[said]


SAID = np.array([0, 0, 1, 1, 2, 2, 2, 0])
THERE = np.array([0, 1, 1, 1, 2, 0, 2, 0])


def test_by_hand():
    logits = logits_of(SAID, 4)
    found = {
        name: measure({"type": name, "average": "none"}, logits, THERE)
        for name in ("precision", "recall", "f1")
    }
    assert found["precision"] == pytest.approx([2 / 3, 1, 2 / 3, 0])
    assert found["recall"] == pytest.approx([2 / 3, 2 / 3, 1, 0])
    assert found["f1"] == pytest.approx([2 / 3, 4 / 5, 4 / 5, 0])
    assert measure("f1", logits, THERE) == pytest.approx((2 / 3 + 4 / 5 + 4 / 5) / 3)
    weighted = measure({"type": "f1", "average": "weighted"}, logits, THERE)
    assert weighted == pytest.approx((3 * 2 / 3 + 3 * 4 / 5 + 2 * 4 / 5) / 8)
    matrix = measure("confusion_matrix", logits, THERE)
    assert matrix == [[2, 0, 1, 0], [1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert all(type(count) is int for row in matrix for count in row)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("classes", [2, 5, 40])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_they_are_those_of_scikit_learn(name, average, classes, batch):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(classes)
    there = rng.integers(0, classes, 60)
    said = np.where(rng.uniform(size=60) < 0.6, there, rng.integers(0, classes, 60))
    theirs = getattr(metrics, f"{name}_score")(there, said, average=average, zero_division=0)
    ours = measure({"type": name, "average": average}, logits_of(said, classes), there, batch)
    assert ours == pytest.approx(theirs)
    matrix = measure("confusion_matrix", logits_of(said, classes), there, batch)
    assert matrix == metrics.confusion_matrix(there, said, labels=range(classes)).tolist()


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_one_logit_a_sample_has_one_class(shape):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    logits, there = rng.normal(size=shape).astype("float32"), rng.integers(0, 2, shape)
    flat, said = there.reshape(-1), logits.reshape(-1) > 0
    for name in ("precision", "recall", "f1"):
        theirs = getattr(metrics, f"{name}_score")(flat, said)
        for average in ("macro", "micro"):
            assert measure({"type": name, "average": average}, logits, there) == pytest.approx(
                theirs
            )
    assert measure("confusion_matrix", logits, there) == (
        metrics.confusion_matrix(flat, said).tolist()
    )


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_several_questions_are_several_classes(average):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    logits, there = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 3))
    theirs = metrics.f1_score(there, logits > 0, average=average)
    assert measure({"type": "f1", "average": average}, logits, there) == pytest.approx(theirs)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_questions_are_asked_of_floats_where_it_is_said(average):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    logits, there = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 3))
    metric = {"type": "f1", "average": average, "multilabel": True}
    theirs = metrics.f1_score(there, logits > 0, average=average)
    assert measure(metric, logits, there.astype("float32")) == pytest.approx(theirs)
    assert measure(metric, logits, there.astype("float32")) != pytest.approx(
        measure({**metric, "multilabel": None}, logits, there.astype("float32"))
    )


def test_the_questions_of_images_stand_on_the_axis_that_is_said():
    rng = np.random.default_rng(5)
    logits, there = rng.normal(size=(9, 2, 3, 4)), rng.integers(0, 2, (9, 2, 3, 4))
    last = [np.moveaxis(v, 1, -1).reshape(-1, 2) for v in (logits, there)]
    assert measure({"type": "f1", "axis": 1}, logits, there) == measure("f1", *last)


NAMES = ["precision", "recall", "f1", "confusion_matrix", "accuracy", "perplexity"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_ignored_positions_do_not_count(name, ignore_index):
    rng = np.random.default_rng(2)
    logits, there = rng.normal(size=(20, 6, 4)), rng.integers(0, 4, (20, 6))
    there = np.where(rng.uniform(size=there.shape) < 0.3, ignore_index, there)
    kept = there != ignore_index
    metric = {"type": name, "ignore_index": ignore_index}
    if name == "confusion_matrix":
        assert measure(metric, logits, there) == measure(name, logits[kept], there[kept])
    else:
        expected = pytest.approx(measure(name, logits[kept], there[kept]))
        assert measure(metric, logits, there) == expected


@pytest.mark.parametrize("name", [*NAMES, "top_k_accuracy"])
def test_the_classes_of_images_stand_on_axis_one(name):
    rng = np.random.default_rng(3)
    logits, there = rng.normal(size=(9, 4, 2, 3)), rng.integers(0, 4, (9, 2, 3))
    table = {"type": name, "k": 2} if name == "top_k_accuracy" else {"type": name}
    last = measure(table, np.moveaxis(logits, 1, -1), there)
    assert measure({**table, "axis": 1}, logits, there) == last
    shares = rng.dirichlet(np.ones(4), size=(9, 2, 3))
    last = measure(table, np.moveaxis(logits, 1, -1), shares)
    assert measure({**table, "axis": 1}, logits, np.moveaxis(shares, -1, 1)) == last


@pytest.mark.parametrize("name", [n for n in NAMES if n != "confusion_matrix"])
def test_of_nothing_the_result_is_not_a_number(name):
    assert np.isnan(measure(name, np.zeros((3, 2)), np.full(3, -100)))


def test_what_decides_a_best_is_a_number():
    better = {
        entry.name: make("metric", entry.name).better
        for entry in registry.entries("metric")
        if entry.source == "minidl"
    }
    lower = {"mae", "mse", "rmse", "perplexity", "label_error_rate"}
    assert better["confusion_matrix"] == ""
    assert {name for name, which in better.items() if which == "lower"} == lower
    assert make("metric", {"type": "f1", "average": "none"}).better == ""


def test_an_axis_that_is_not_there_is_named():
    with pytest.raises(ShapeError) as error:
        measure({"type": "f1", "axis": 2}, np.zeros((3, 2)), np.zeros(3, "int64"))
    assert str(error.value) == (
        "metric 'f1': axis 2 is out of range for predictions of shape (3, 2)"
    )
    with pytest.raises(ConfigError) as error:
        registry.get("metric", "f1")(average="samples")
    assert str(error.value) == (
        "metric 'f1': average: Input should be 'macro', 'micro', 'weighted' or 'none', "
        "got 'samples'"
    )


# -- perplexity -------------------------------------------------------------------------------


def test_perplexity_of_knowing_nothing_is_the_number_of_classes():
    assert measure("perplexity", np.zeros((9, 5, 7)), np.zeros((9, 5), int)) == pytest.approx(7)
    sure = logits_of(THERE, 3) * 1e3
    assert measure("perplexity", sure, THERE) == 1
    assert measure("perplexity", -sure, THERE) == np.inf


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_perplexity_of_probabilities_is_that_of_their_cross_entropy(batch):
    rng = np.random.default_rng(4)
    logits, shares = rng.normal(size=(10, 3)), rng.dirichlet(np.ones(3), size=10)
    log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = np.exp(-(shares * log).sum(1).mean())
    assert measure("perplexity", logits, shares, batch) == pytest.approx(expected)
