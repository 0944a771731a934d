import numpy as np
import pytest

from minidl.component import make
from minidl.errors import ConfigError, DataError


def inline(**fields):
    return make("dataset", {"type": "inline", **fields})


XOR = {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [0, 1, 1, 0]}


def test_lists_become_arrays_and_the_test_part_is_the_training_part():
    splits = inline(**XOR).splits()
    assert splits.train.inputs.dtype == np.float32
    assert splits.train.targets.tolist() == [0, 1, 1, 0]
    assert splits.test is splits.train and splits.validation is None
    assert splits.classes == ("0", "1")


def test_no_sample_is_held_out():
    splits = inline(inputs=[[1.0]], targets=[[2.0]]).splits(validation=0.1)
    assert len(splits.train) == 1 and splits.validation is None


def test_a_test_part_can_be_given():
    splits = inline(**XOR, test_inputs=[[0.5, 0.5]], test_targets=[1]).splits()
    assert splits.test.inputs.tolist() == [[0.5, 0.5]]


def test_nested_targets_are_values():
    for targets in ([[0], [1], [1], [0]], [0.0, 1, 1, 0]):
        splits = inline(inputs=XOR["inputs"], targets=targets).splits()
        assert splits.task == "regression"
        assert splits.train.targets.tolist() == [[0.0], [1.0], [1.0], [0.0]]


def test_the_dtype_can_be_told():
    train = inline(inputs=[[0.1]], targets=[[0.2]], dtype="float64").splits().train
    assert (train.inputs[0, 0], train.targets[0, 0]) == (0.1, 0.2)
    tokens = inline(inputs=[[3, 4]], targets=[[0.5]], dtype="int64").splits().train
    assert (tokens.inputs.dtype, tokens.targets.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"inputs": [[0, 1], [1]], "targets": [0, 1]},
            "inputs[1] has shape (1,), the first item has (2,); all must have the same",
        ),
        (
            {"inputs": [[[1, 2], [3]]], "targets": [0]},
            "inputs[0][1] has shape (1,), the first item has (2,); all must have the same",
        ),
        ({"inputs": [[0, "a"]], "targets": [0]}, "inputs[0][1] is 'a', not a number"),
        ({"inputs": [[0], [1]], "targets": [0]}, "inputs has 2 samples, targets has 1"),
        ({**XOR, "test_inputs": [[0, 0]]}, "test_targets is missing"),
    ],
)
def test_lists_that_are_no_arrays_are_refused(fields, message):
    with pytest.raises(ConfigError) as caught:
        inline(**fields).splits()
    assert str(caught.value) == f"dataset 'inline': {message}"


def test_no_samples_and_infinite_ones_are_refused():
    with pytest.raises(DataError) as caught:
        inline(inputs=[], targets=[]).splits()
    assert str(caught.value) == "dataset 'inline': the train part is empty"
    with pytest.raises(DataError) as caught:
        inline(inputs=[[0.0, float("inf")]], targets=[0]).splits()
    assert str(caught.value).startswith("dataset 'inline': train inputs[0, 1] is inf")


def test_inputs_are_read_as_they_are_stored(tmp_path):
    np.save(tmp_path / "p.npy", np.ones((3, 2)))
    found = inline(**XOR).read_inputs(str(tmp_path / "p.npy"))
    assert found.shape == (3, 2) and found.dtype == np.float32
