"""Metrics of classes, merged over batches."""

import numpy as np
import pytest

from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import tensor

LOGITS = np.array([[2, 1, 0], [0, 5, 1], [0, 1, 9], [3, 2, 1]], "float32")


def measure(metric, predictions, targets, batch=3):
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


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_accuracy_of_classes(dtype):
    assert measure("accuracy", LOGITS, np.array([0, 1, 0, 1], dtype)) == 0.5


def test_accuracy_of_probabilities():
    targets = np.array([[0.6, 0.4, 0], [0, 0.9, 0.1], [1, 0, 0], [0.2, 0.7, 0.1]], "float32")
    assert measure("accuracy", LOGITS, targets) == 0.5


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("target_shape", [(4,), (4, 1)])
@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float32"])
def test_accuracy_of_yes_or_no(shape, target_shape, dtype):
    logits = np.array([-3, 0.1, 4, -0.1], "float32").reshape(shape)
    targets = np.array([0, 1, 0, 0], dtype).reshape(target_shape)
    assert measure("accuracy", logits, targets) == 0.75


def test_accuracy_of_several_questions_counts_each():
    logits = np.array([[1, -1, 2], [-1, -1, -1]], "float32")
    assert measure("accuracy", logits, np.array([[1, 0, 0], [0, 1, 0]])) == pytest.approx(4 / 6)


def test_accuracy_of_equal_logits_takes_the_first():
    logits = np.zeros((2, 3), "float32")
    assert measure("accuracy", logits, np.array([0, 1])) == 0.5


def test_top_k_counts_the_best_k():
    logits = np.array([[4, 3, 2, 1]] * 4, "float32")
    targets = np.array([0, 1, 2, 3])
    shares = [measure({"type": "top_k_accuracy", "k": k}, logits, targets) for k in (1, 2, 3, 4)]
    assert shares == [0.25, 0.5, 0.75, 1]


def test_top_k_of_equal_logits_counts_no_more_than_k():
    logits = np.zeros((4, 4), "float32")
    assert measure({"type": "top_k_accuracy", "k": 3}, logits, np.arange(4)) == 0.75


def test_top_one_is_accuracy():
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 4, (200, 5)).astype("float32")
    targets = rng.integers(0, 5, 200)
    assert measure({"type": "top_k_accuracy", "k": 1}, logits, targets, batch=64) == measure(
        "accuracy", logits, targets, batch=64
    )


def test_top_k_never_counts_what_is_not_a_number():
    logits = np.array([[np.nan, 1, 2], [np.inf, 1, -np.inf]], "float32")
    assert measure({"type": "top_k_accuracy", "k": 2}, logits, np.array([0, 1])) == 0.5


def test_top_k_of_probabilities_takes_the_most_probable():
    targets = np.array([[0, 0, 1], [0, 1, 0], [0, 1, 0], [0, 0, 1]], "float32")
    assert measure({"type": "top_k_accuracy", "k": 2}, LOGITS, targets) == 0.5


def test_top_k_of_more_classes_than_there_are_is_refused():
    with pytest.raises(ShapeError) as error:
        measure("top_k_accuracy", LOGITS, np.array([0, 1, 0, 1]))
    assert str(error.value) == (
        "metric 'top_k_accuracy': k is 5 but there are 3 classes; choose a smaller k"
    )
    with pytest.raises(ConfigError):
        make("metric", "top_k_accuracy").__class__(k=0)


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError) as error:
        measure("accuracy", LOGITS, np.zeros((4, 2), "float32"))
    assert str(error.value) == (
        "metric 'accuracy': logits of shape (3, 3) take probabilities of shape (3, 3), not (3, 2)"
    )
    with pytest.raises(DtypeError) as error:
        measure("accuracy", LOGITS, np.zeros(4, "float32"))
    assert str(error.value) == (
        "metric 'accuracy': targets of shape (3,) are classes and must be integers, not float32; "
        "convert them (astype('int64'), or task = 'classification' in [data])"
    )
