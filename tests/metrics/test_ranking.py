"""The area under the ROC curve: by hand, against scikit-learn, and messages."""

import math

import numpy as np
import pytest

from minidl.component import make
from minidl.graph import tensor


def measure(predictions, targets, batch=7, **fields):
    made = make("metric", {"type": "auc", **fields})
    total = None
    for start in range(0, len(targets), batch):
        p, y = predictions[start : start + batch], targets[start : start + batch]
        values = [
            np.asarray(value.numpy(), "float64") for value in made.statistics(tensor(p), tensor(y))
        ]
        kept = made.reduce(values)
        total = kept if total is None else made.merge(total, kept)
    return made.result(total)


def test_pairs_in_order_are_counted():
    scores = np.array([0.1, 0.4, 0.35, 0.8], "float32")
    assert measure(scores, np.array([0, 0, 1, 1])) == 0.75
    assert measure(scores, np.array([0, 0, 1, 1]), batch=1) == 0.75
    assert measure(np.zeros(4, "float32"), np.array([0, 0, 1, 1])) == 0.5


@pytest.mark.parametrize("batch", [1, 13, 1000])
@pytest.mark.parametrize("levels", [4, 10**6])
@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float32"])
def test_it_is_that_of_scikit_learn(batch, levels, dtype):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    there = rng.integers(0, 2, 200)
    scores = (np.round((rng.normal(size=200) + there) * levels) / levels).astype("float32")
    expected = pytest.approx(metrics.roc_auc_score(there, scores))
    assert measure(scores, there.astype(dtype), batch) == expected
    assert measure(scores[:, None], there.astype(dtype)[:, None], batch) == expected


def test_two_classes_are_ranked_by_the_difference_of_their_logits():
    rng = np.random.default_rng(1)
    logits, there = rng.normal(size=(50, 2)).astype("float32"), rng.integers(0, 2, 50)
    score = logits[:, 1].astype("float64") - logits[:, 0]
    assert measure(logits, there) == measure(score, there)
    ignored = np.where(np.arange(50) % 3 == 0, -100, there)
    kept = ignored >= 0
    assert measure(logits, ignored) == measure(score[kept], there[kept])


@pytest.mark.parametrize("targets", [[0, 0], [1, 1], [-100, 1]])
def test_without_both_kinds_it_is_not_a_number(targets):
    assert math.isnan(measure(np.array([0.5, 1.0]), np.array(targets)))
    assert math.isnan(measure(np.array([np.nan, 1.0]), np.array([0, 1])))


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_of_several_questions_it_is_that_of_scikit_learn(average, batch):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    there = rng.integers(0, 2, (60, 3))
    scores = np.round(rng.normal(size=(60, 3)) + there, 1).astype("float32")
    expected = pytest.approx(metrics.roc_auc_score(there, scores, average=average))
    assert measure(scores, there, batch, average=average) == expected
    shares = there.astype("float32")
    assert measure(scores, shares, batch, average=average, multilabel=True) == expected
    each = measure(scores, there, batch, average="none")
    assert each == pytest.approx(metrics.roc_auc_score(there, scores, average=None).tolist())


def test_questions_without_both_answers_have_no_part_in_the_mean():
    scores = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]])
    there = np.array([[0, 1], [1, 1], [1, 1]])
    assert measure(scores, there) == 1.0
    assert measure(scores, there, average="none")[0] == 1.0
    assert math.isnan(measure(scores, there, average="none")[1])
    assert math.isnan(measure(scores, np.ones((3, 2), "int64")))


@pytest.mark.parametrize("average", ["macro", "weighted", "micro", "none"])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_several_classes_are_each_measured_against_the_rest(average, batch):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    there = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    logits = np.round(rng.normal(size=(60, 3)) + np.eye(3)[there], 1).astype("float32")
    wide = np.exp(logits.astype("float64"))
    shares = wide / wide.sum(axis=1, keepdims=True)
    theirs = metrics.roc_auc_score(
        there, shares, multi_class="ovr", average=None if average == "none" else average
    )
    expected = pytest.approx(theirs if average != "none" else theirs.tolist())
    assert measure(logits, there, batch, average=average) == expected
    ignored = np.concatenate([there, np.full(5, -1)])
    more = np.concatenate([logits, rng.normal(size=(5, 3)).astype("float32")])
    assert measure(more, ignored, batch, average=average, ignore_index=-1) == expected


def test_classes_that_are_sure_are_still_told_apart():
    logits = np.array([[20.0, 0.0, 0.0], [30.0, 0.0, 0.0], [0.0, 25.0, 0.0], [0.0, 22.0, 1.0]])
    each = measure(logits.astype("float32"), np.array([0, 1, 1, 2]), average="none")
    assert each == pytest.approx([2 / 3, 1 / 2, 2 / 3])


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_a_class_that_is_never_there_has_no_part_in_the_mean(average):
    logits = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    assert measure(logits, np.array([1, 0, 0]), average=average) == 1.0
    assert math.isnan(measure(logits, np.array([1, 0, 0]), average="none")[2])
