import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.data import Dataset, Part, Splits, dataset
from minidl.errors import ConfigError, DataError
from minidl.graph import Spec, tensor


def part(count=6, dtype="float32", classes=2):
    return Part(np.ones((count, 3), dtype), np.arange(count) % classes)


@pytest.fixture
def given():
    """Register a dataset that gives what a test asks for."""
    registered = []

    def declare(splits):
        @dataset("given")
        class Given(Dataset):
            def load(self):
                return splits

        registered.append(Given)
        return Given()

    yield declare
    for _ in registered:
        registry.forget("dataset", "given")


def refusal(made):
    with pytest.raises(DataError) as caught:
        made.splits()
    return str(caught.value)


def test_all_built_in_datasets_are_registered():
    known = {"cifar10", "csv", "digits", "fashion_mnist", "inline", "mnist", "npz"}
    assert known <= set(registry.names("dataset"))


def test_a_dataset_is_a_component():
    assert make("dataset", {"type": "digits", "flat": False}).flat is False
    with pytest.raises(ConfigError) as caught:
        registry.get("dataset", "digits")(flat="no")
    assert "dataset 'digits': flat" in str(caught.value)


def test_splits_tell_what_training_must_know():
    splits = Splits(part(6), test=part(4), classes=("a", "b"))
    assert splits.task == "classification"
    assert splits.input_spec == Spec((3,), "float32")
    assert splits.target_spec == Spec((), "int64")
    assert [name for name, _ in splits.parts()] == ["train", "test"]
    assert splits.describe() == {
        "task": "classification",
        "input": "float32[3]",
        "target": "int64[]",
        "classes": ["a", "b"],
        "samples": {"train": 6, "test": 4},
    }


def test_float_targets_make_a_regression():
    values = Part(np.ones((2, 3)), np.ones((2, 1), np.float32))
    assert Splits(values).task == "regression"
    assert Splits(values).target_spec == Spec((1,), "float32")


def test_inputs_and_targets_must_be_as_many():
    with pytest.raises(DataError) as caught:
        Part(np.ones((5, 2)), np.ones(4))
    assert str(caught.value) == "5 inputs but 4 targets; each sample needs one of both"


def test_a_part_has_the_length_of_its_rows():
    assert len(part(6)) == 6
    assert len(Part(np.ones((6, 1)), np.ones(6), rows=np.array([0, 5]))) == 2


def test_a_validation_part_is_held_out_of_the_training_part(given):
    splits = given(Splits(part(20), classes=("a", "b"))).splits(0.25, seed=1)
    assert (len(splits.train), len(splits.validation)) == (15, 5)
    assert given(Splits(part(20))).splits(0.0).validation is None


def test_a_validation_part_of_its_own_is_taken_instead(given):
    own = part(4)
    splits = given(Splits(part(20), validation=own)).splits(0.25)
    assert splits.validation is own
    assert len(splits.train) == 20


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (Splits(part(0)), "the train part is empty"),
        (Splits(part(2), test=part(0)), "the test part is empty"),
        (
            Splits(part(2), test=part(2, "float64")),
            "the test inputs are float64[3] a sample, the train inputs float32[3]",
        ),
        (
            Splits(Part(np.array([["a"], ["b"]]), np.array([0, 1]))),
            "the train inputs have dtype <U1, which is not a number",
        ),
        (
            Splits(Part(np.ones((2, 1)), np.array([0, 1], np.uint8))),
            "the train targets have dtype uint8; class indices must be int64, "
            "values float32 or float64",
        ),
        (
            Splits(part(4, classes=3), classes=("a", "b")),
            "train target 2 is class 2; the 2 classes count from 0",
        ),
        (
            Splits(
                part(4), test=Part(np.ones((1, 3), "float32"), np.array([-1])), classes=("a", "b")
            ),
            "test target 0 is class -1; the 2 classes count from 0",
        ),
    ],
)
def test_what_training_cannot_rely_on_is_refused(given, splits, message):
    assert refusal(given(splits)) == f"dataset 'given': {message}"


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_value_that_is_not_finite_is_named_with_its_place(given, value, shown):
    inputs = np.zeros((3000, 2, 200), np.float32)
    inputs[2900, 1, 7] = value
    message = refusal(given(Splits(Part(inputs, np.zeros(3000, np.int64)))))
    assert message == (
        f"dataset 'given': train inputs[2900, 1, 7] is {shown}; replace it or leave the sample out"
    )


def test_targets_must_be_finite_too(given):
    targets = np.array([[1.0], [np.nan]], np.float32)
    assert refusal(given(Splits(Part(np.ones((2, 1)), targets)))).startswith(
        "dataset 'given': train targets[1, 0] is nan"
    )


def test_by_default_inputs_become_floats_and_there_is_no_state(given):
    made = given(Splits(part()))
    assert made.prepare(tensor([1, 2], dtype="uint8")).dtype == "float32"
    assert made.prepare(tensor([1, 2], dtype="float64")).dtype == "float64"
    assert made.state() == {}
    with pytest.raises(DataError) as caught:
        made.read_inputs("x.npy")
    assert str(caught.value) == "dataset 'given' cannot read inputs from a file"


def test_messages_name_the_file_a_dataset_is_of():
    assert make("dataset", {"type": "npz", "path": "p.npz"}).label == "dataset 'npz' (p.npz)"
    assert make("dataset", "digits").label == "dataset 'digits'"


def test_of_several_targets_a_negative_one_is_a_place_without_a_class(given):
    targets = np.array([[0, -100], [1, -1]])
    splits = Splits(Part(np.ones((2, 2, 1), "float32"), targets), classes=("a", "b"))
    assert given(splits).splits().train.targets is targets
    wrong = Splits(Part(np.ones((2, 2, 1), "float32"), targets + 1), classes=("a", "b"))
    assert refusal(given(wrong)) == (
        "dataset 'given': train target 1 is class 2; the 2 classes count from 0"
    )
