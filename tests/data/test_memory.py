"""The dataset that holds arrays given in Python."""

import numpy as np
import pytest

from minidl.component import make
from minidl.errors import DataError
from minidl.graph import tensor


def arrays(**fields):
    return make("dataset", {"type": "arrays", **fields})


X = np.arange(12, dtype=np.uint8).reshape(6, 2)
Y = [0, 1, 2, 0, 1, 2]


def test_integers_stay_as_they_are_and_floats_become_what_the_network_takes():
    assert arrays().holding((X, Y)).load().train.inputs is X
    assert arrays().holding((X / 2, Y)).load().train.inputs.dtype == np.float32
    assert arrays(dtype="float64").holding((X / 2, Y)).load().train.inputs.dtype == np.float64
    assert arrays(dtype="int64").holding((X * 1.0, Y)).load().train.inputs.dtype == np.int64


def test_targets_are_classes_or_values():
    classes = arrays().holding((X, Y)).splits()
    assert classes.task == "classification" and classes.classes == ("0", "1", "2")
    assert arrays(classes=["a", "b", "c"]).holding((X, Y)).splits().classes == ("a", "b", "c")
    values = arrays(task="regression").holding((X, Y)).splits()
    assert values.train.targets.shape == (6, 1) and values.train.targets.dtype == np.float32
    assert arrays().holding((X, np.eye(6))).splits().train.targets.shape == (6, 6)


def test_further_parts_follow_the_training_part():
    splits = arrays().holding((X, np.array(Y) / 2), ([[1, 2]], [1]), (X[:2] * 1.0, Y[:2])).splits()
    assert splits.validation.inputs.dtype == splits.test.inputs.dtype == np.uint8
    assert splits.validation.targets.tolist() == [[1.0]]
    assert splits.test.targets.dtype == np.float32
    assert arrays().holding((X, Y), None, (X[:1], [5])).splits().classes[-1] == "5"


def test_a_part_is_held_out_unless_one_is_given():
    assert len(arrays().holding((X, Y)).splits(validation=0.5).validation) == 3
    assert len(arrays().holding((X, Y), (X[:1], Y[:1])).splits(validation=0.5).validation) == 1


def test_the_network_takes_them_as_the_options_say():
    prepared = arrays(divide_by=2.0).prepare(tensor(X))
    np.testing.assert_array_equal(prepared.numpy(), X / 2)
    assert prepared.dtype == "float32"


def test_holding_arrays_leaves_the_dataset_as_it_was():
    empty = arrays(divide_by=2.0)
    assert empty.holding((X, Y)).divide_by == 2.0
    with pytest.raises(DataError) as caught:
        empty.splits()
    assert str(caught.value) == (
        "dataset 'arrays' reads no files: give it arrays in Python, to train with "
        "md.fit(config, data=(inputs, targets)), to measure with "
        "md.load(run).evaluate(inputs, targets)"
    )


@pytest.mark.parametrize(
    ("fields", "parts", "message"),
    [
        ({}, [X], "train is a pair (inputs, targets), not ndarray"),
        ({}, [(X, Y, Y)], "train is a pair (inputs, targets), not 3 values"),
        ({}, [(X, Y[:4])], "train has 6 inputs but 4 targets; each sample needs one of both"),
        (
            {},
            [(X, Y), None, (X, Y[:4])],
            "test has 6 inputs but 4 targets; each sample needs one of both",
        ),
        (
            {},
            [(X, [*Y[:5], np.nan])],
            "train targets[5, 0] is nan; replace it or leave the sample out",
        ),
        (
            {"task": "classification"},
            [(X, [*Y[:5], np.nan])],
            "train targets[5] is nan; replace it or leave the sample out",
        ),
        (
            {},
            [(X, Y), (X / 2, Y)],
            "validation inputs[0, 1] is 0.5, but the samples are stored as uint8, which cannot "
            "hold it",
        ),
        ({}, [(X, Y), (X[:, :1], Y)], "the validation inputs are uint8[1] a sample, the train "),
        ({}, [(X[:0], Y[:0])], "the train part is empty"),
        ({}, [(X, list("abcabc"))], "train targets have dtype <U1, not real numbers; "),
        ({}, [(X.astype(object), Y)], "train inputs have dtype object, not real numbers; "),
        ({}, [(X, [*Y[:5], -1])], "train target 5 is class -1; the 3 classes count from 0"),
    ],
)
def test_arrays_that_cannot_be_learnt_from_are_refused(fields, parts, message):
    with pytest.raises(DataError) as caught:
        arrays(**fields).holding(*parts).splits()
    assert str(caught.value).startswith(f"dataset 'arrays': {message}")


def test_inputs_are_read_from_files(tmp_path):
    np.save(tmp_path / "p.npy", X)
    np.testing.assert_array_equal(arrays().read_inputs(str(tmp_path / "p.npy")), X)
