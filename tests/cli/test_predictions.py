"""What predictions look like: shapes and names that no trained network of the other tests has."""

import numpy as np
import pytest

from minidl.cli.predictions import predict_table
from minidl.component import make


class Said:
    """A model that predicts what it is given."""

    class dataset:  # noqa: N801
        target_names = ()

        @staticmethod
        def real_steps(inputs):
            return None

    def __init__(self, loss, classes=()):
        self.loss = make("loss", loss)
        self.classes = classes

    @staticmethod
    def predict(inputs):
        return np.asarray(inputs)


def test_a_single_question_has_two_classes():
    made = Said("binary_cross_entropy", ("no", "yes"))
    for shape in ((2,), (2, 1)):
        header, rows = predict_table(made, np.array([0.25, 0.75]).reshape(shape))
        assert header == ["class", "p(no)", "p(yes)"]
        assert rows == [["no", 0.75, 0.25], ["yes", 0.25, 0.75]]


def test_without_names_there_are_indices():
    assert predict_table(Said("cross_entropy"), np.array([[0.2, 0.8]])) == (
        ["class", "p(0)", "p(1)"],
        [["1", 0.2, 0.8]],
    )
    assert predict_table(Said("binary_cross_entropy", ("a",)), np.array([[0.2, 0.8]])) == (
        ["0", "p(0)", "1", "p(1)"],
        [[0, 0.2, 1, 0.8]],
    )
    assert predict_table(Said("mse"), np.array([[1.5], [2.0]])) == (["value"], [[1.5], [2.0]])
    header, _ = predict_table(Said("mse"), np.zeros((2, 2, 2)))
    assert header == ["value_0", "value_1", "value_2", "value_3"]


@pytest.mark.parametrize(
    ("classes", "text"), [(("", "a", "b"), "aba"), (("", "in", "out"), "in out in"), ((), "121")]
)
def test_labels_are_spelled(classes, text):
    found = np.array([[-1, 1, -1, 2, 1], [-1, -1, -1, -1, -1]])
    header, rows = predict_table(Said("ctc", classes), found)
    assert header == ["labels"]
    assert rows == [[text], [""]]


def test_further_axes_are_places():
    header, rows = predict_table(Said("cross_entropy"), np.full((1, 2, 1, 1, 2), 0.5))
    assert header == ["sample", "place_0", "place_1", "place_2", "class", "p(0)", "p(1)"]
    assert [row[:5] for row in rows] == [[0, 0, 0, 0, "0"], [0, 1, 0, 0, "0"]]


def test_of_no_samples_there_are_no_rows():
    assert predict_table(Said("cross_entropy"), np.zeros((0, 3)))[1] == []
    assert predict_table(Said("ctc"), np.zeros((0, 3), "int64"))[1] == []
