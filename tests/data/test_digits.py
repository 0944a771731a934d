from pathlib import Path

import numpy as np
import pytest

import minidl.data
from minidl.component import make
from minidl.graph import tensor


def test_the_digits_come_with_the_package():
    splits = make("dataset", "digits").splits()
    assert splits.describe() == {
        "task": "classification",
        "input": "uint8[1, 8, 8]",
        "target": "int64[]",
        "classes": list("0123456789"),
        "samples": {"train": 1437, "test": 360},
    }
    assert splits.train.inputs.max() == 16


def test_every_digit_has_its_share_of_the_test_part():
    splits = make("dataset", "digits").splits()
    counts = np.bincount(splits.test.targets)
    whole = counts + np.bincount(splits.train.targets)
    assert np.abs(counts - whole * 360 / 1797).max() < 1


def test_the_split_is_the_documented_one():
    digits = make("dataset", "digits")
    splits = digits.splits()
    file = np.load(Path(minidl.data.__file__).parent / "digits.npz")
    order = np.argsort(file["labels"], kind="stable")
    places = np.floor((np.arange(360) + 0.5) * 1797 / 360).astype(int)
    assert np.array_equal(np.flatnonzero(file["test"]), np.sort(order[places]))
    assert np.array_equal(splits.test.inputs[:, 0], file["images"][file["test"]])


def test_the_network_gets_vectors_in_0_to_1_or_images_where_asked():
    stored = make("dataset", "digits").load().train.inputs[:5]
    flat = make("dataset", "digits").prepare(tensor(stored))
    assert flat.shape == (5, 64) and flat.dtype == "float32"
    assert np.array_equal(flat.numpy(), stored.reshape(5, 64) / np.float32(16))
    images = make("dataset", {"type": "digits", "flat": False}).prepare(tensor(stored))
    assert images.shape == (5, 1, 8, 8)


def test_the_licence_stands_beside_the_data():
    note = (Path(minidl.data.__file__).parent / "digits.md").read_text()
    for needed in ("CC BY 4.0", "Alpaydin", "Kaynak", "UCI Machine Learning Repository"):
        assert needed in note


def test_the_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="compares with scikit-learn's copy")
    source = datasets.load_digits()
    file = np.load(Path(minidl.data.__file__).parent / "digits.npz")
    assert np.array_equal(file["images"], source.images)
    assert np.array_equal(file["labels"], source.target)
