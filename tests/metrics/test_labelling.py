"""How far labels are from those that were wanted."""

import numpy as np
import pytest

from minidl.component import make
from minidl.errors import ShapeError
from minidl.graph import tensor
from minidl.metrics.labelling import edit_distance


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("saturday", "sunday", 3),
        ("abc", "abc", 0),
        ("ab", "ba", 2),
    ],
)
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def slow_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    same = slow_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(same, 1 + slow_distance(a[1:], b), 1 + slow_distance(a, b[1:]))


def test_edit_distance_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = (rng.integers(0, 3, rng.integers(0, 6)).tolist() for _ in range(2))
        assert edit_distance(a, b) == slow_distance(a, b)


def measure(steps, targets, blank=0, classes=4):
    made = make("metric", {"type": "label_error_rate", "blank": blank})
    total = None
    for said, wanted in zip(steps, targets, strict=True):
        logits = np.eye(classes, dtype="float32")[np.array([said])]
        values = made.statistics(tensor(logits), tensor(np.array([wanted])))
        values = [np.asarray(value.numpy(), "float64") for value in values]
        kept = made.reduce(values)
        total = kept if total is None else made.merge(total, kept)
    return made.result(total)


def test_distances_and_labels_are_added_up_before_they_are_divided():
    assert measure([[1, 1, 0, 1], [2, 0, 3, 3]], [[1, 1], [2, -1]]) == pytest.approx(1 / 3)
    assert measure([[1, 1, 0, 1]], [[1, 0, 0]]) == 1
    assert measure([[3, 1, 3, 3]], [[1, 3, 3]], blank=3) == 0
    assert np.isnan(measure([[1, 2]], [[-1, -1]]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError) as error:
        make("metric", "label_error_rate").statistics(tensor(np.zeros((2, 3))), tensor([1, 2]))
    assert str(error.value) == (
        "metric 'label_error_rate': takes logits of shape (batch, time, classes) and targets of "
        "shape (batch, labels), not (2, 3) and (2,)"
    )
