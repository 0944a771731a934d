import numpy as np
import pytest

from minidl.component import make
from minidl.errors import DataError
from minidl.graph import tensor


@pytest.fixture
def npz(tmp_path):
    """Write arrays to a file and return the dataset of it."""

    def made(fields=None, **arrays):
        path = tmp_path / "a.npz"
        np.savez(path, **arrays)
        return make("dataset", {"type": "npz", "path": str(path), **(fields or {})})

    return made


def refusal(made, call="splits", *args):
    with pytest.raises(DataError) as caught:
        getattr(made, call)(*args)
    return str(caught.value).replace(getattr(made, "path", ""), "FILE")


x = np.arange(12.0).reshape(6, 2)
y = np.array([0, 1, 2, 0, 1, 2], np.int32)


def test_arrays_keep_their_dtype_and_whole_numbers_are_classes(npz):
    splits = npz(x=x.astype(np.uint8), y=y).splits()
    assert splits.train.inputs.dtype == np.uint8
    assert splits.train.targets.dtype == np.int64
    assert splits.classes == ("0", "1", "2")
    assert splits.test is None and splits.validation is None


def test_values_become_a_column_of_floats(npz):
    splits = npz(x=x, y=np.linspace(0, 1, 6)).splits()
    assert splits.task == "regression"
    assert (splits.train.targets.shape, splits.train.targets.dtype) == ((6, 1), np.float32)


@pytest.mark.parametrize(
    ("targets", "task", "dtype", "shape"),
    [
        (y, "regression", np.float32, (6, 1)),
        (y.astype(float), "classification", np.int64, (6,)),
        (y > 0, "auto", np.int64, (6,)),
        (np.stack([y, y], 1), "auto", np.float32, (6, 2)),
        (np.stack([y, y], 1), "classification", np.int64, (6, 2)),
    ],
)
def test_the_task_can_be_told(npz, targets, task, dtype, shape):
    train = npz({"task": task}, x=x, y=targets).splits().train
    assert (train.targets.dtype, train.targets.shape) == (dtype, shape)


def test_other_parts_are_found_by_name(npz):
    splits = npz(x=x, y=y, x_test=x[:2], y_test=y[:2], x_validation=x[:3], y_validation=y[:3])
    assert splits.splits().describe()["samples"] == {"train": 6, "validation": 3, "test": 2}


def test_names_can_be_told(npz):
    fields = {"inputs": "a", "targets": "b", "test_inputs": "c", "test_targets": "b"}
    splits = npz(fields, a=x, b=y, c=x + 1).splits()
    assert splits.test.inputs[0, 0] == 1


def test_a_test_part_can_be_taken_from_the_samples(npz):
    splits = npz({"test_fraction": 0.5}, x=x, y=y).splits(0.34)
    assert splits.describe()["samples"] == {"train": 2, "validation": 1, "test": 3}
    rows = [part.rows for _, part in splits.parts()]
    assert sorted(np.concatenate(rows)) == list(range(6))


def test_classes_can_be_named(npz):
    assert npz({"classes": ["a", "b", "c"]}, x=x, y=y).splits().classes == ("a", "b", "c")
    assert refusal(npz({"classes": ["a", "b"]}, x=x, y=y)) == (
        "dataset 'npz' (FILE): train target 2 is class 2; the 2 classes count from 0"
    )


@pytest.mark.parametrize(
    ("fields", "stored", "dtype", "first"),
    [
        ({}, "float64", "float32", 255.0),
        ({"dtype": "float64"}, "float64", "float64", 255.0),
        ({"divide_by": 255.0}, "uint8", "float32", 1.0),
        ({"dtype": "int64"}, "uint8", "int64", 255),
    ],
)
def test_what_the_network_receives(npz, fields, stored, dtype, first):
    made = npz(fields, x=np.array([[255]], stored), y=[0])
    prepared = made.prepare(tensor(made.load().train.inputs))
    assert prepared.dtype == dtype
    assert prepared.numpy()[0, 0] == first


def test_targets_take_the_dtype_too(npz):
    made = npz({"dtype": "float64"}, x=x, y=np.ones((6, 1), np.float32))
    assert made.load().train.targets.dtype == np.float64


@pytest.mark.parametrize(
    ("fields", "arrays", "message"),
    [
        ({}, {"x_train": x, "y_train": y}, "FILE: has no array 'x' (it has x_train, y_train)"),
        ({}, {"x": x}, "FILE: has no array 'y' (it has x)"),
        ({"test_inputs": "t"}, {"x": x, "y": y}, "FILE: has no array 't' (it has x, y)"),
        (
            {},
            {"x": x, "y": y, "x_test": x},
            "FILE: has no array 'y_test' (it has x, y, x_test)",
        ),
        (
            {},
            {"x": x, "y": y[:5]},
            "FILE: 'x' has shape (6, 2) and 'y' (5,); their first axes, the samples, must agree",
        ),
        (
            {},
            {"x": np.array(1.0), "y": y},
            "FILE: 'x' has shape () and 'y' (6,); their first axes, the samples, must agree",
        ),
        (
            {"task": "classification"},
            {"x": x, "y": np.full(6, 0.5)},
            "FILE: 'y': class indices must be whole numbers; set task to regression",
        ),
        (
            {},
            {"x": x, "y": y.astype(np.int64) * 10**9},
            "dataset 'npz' (FILE): a target is class 2000000000; "
            "classes count from 0, without gaps",
        ),
        (
            {},
            {"x": x, "y": y - 1},
            "dataset 'npz' (FILE): train target 0 is class -1; the 2 classes count from 0",
        ),
        (
            {},
            {"x": np.where(x == 7, np.nan, x), "y": y},
            "dataset 'npz' (FILE): train inputs[3, 1] is nan; replace it or leave the sample out",
        ),
        ({}, {"x": x[:0], "y": y[:0]}, "dataset 'npz' (FILE): the train part is empty"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(npz, fields, arrays, message):
    assert refusal(npz(fields, **arrays)) == message


def test_a_missing_file_is_refused(tmp_path):
    made = make("dataset", {"type": "npz", "path": str(tmp_path / "none.npz")})
    assert refusal(made) == "FILE: no such file"


def test_inputs_are_read_from_array_files_and_tables(npz, tmp_path):
    made = npz(x=x, y=y)
    np.save(tmp_path / "p.npy", x)
    np.savez(tmp_path / "p.npz", x=x)
    (tmp_path / "p.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in x))
    for name in ("p.npy", "p.npz", "p.csv"):
        assert np.array_equal(made.read_inputs(str(tmp_path / name)), x)


def test_inputs_that_are_not_finite_or_no_samples_are_refused(npz, tmp_path):
    made = npz(x=x, y=y)
    np.save(tmp_path / "p.npy", np.array([[1.0, np.inf]]))
    assert refusal(made, "read_inputs", str(tmp_path / "p.npy")).endswith(
        "p.npy: inputs[0, 1] is inf; replace it or leave the sample out"
    )
    np.save(tmp_path / "p.npy", np.array(1.0))
    assert refusal(made, "read_inputs", str(tmp_path / "p.npy")).endswith(
        "p.npy: holds a single number; the first axis must be the samples"
    )
