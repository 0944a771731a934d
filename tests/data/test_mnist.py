import numpy as np
import pytest

from minidl.component import make
from minidl.errors import DataError


@pytest.fixture
def write_mnist(write_idx):
    def write(folder, end=".gz", dash="-"):
        for prefix, count in (("train", 6), ("t10k", 4)):
            write_idx(f"{folder}/{prefix}-images{dash}idx3-ubyte{end}", (count, 28, 28))
            write_idx(f"{folder}/{prefix}-labels{dash}idx1-ubyte{end}", (count,))

    return write


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize(("end", "dash"), [(".gz", "-"), ("", "-"), ("", "."), (".gz", ".")])
def test_images_stay_bytes_with_the_channel_axis(write_mnist, tmp_path, name, end, dash):
    write_mnist("here", end, dash)
    splits = make("dataset", {"type": name, "root": str(tmp_path / "here")}).splits()
    assert splits.train.inputs.shape == (6, 1, 28, 28)
    assert splits.train.inputs.dtype == np.uint8
    assert splits.train.targets.dtype == np.int64
    assert splits.test.targets.tolist() == [0, 1, 2, 3]
    assert len(splits.classes) == 10


def test_files_are_found_in_the_folder_that_the_environment_names(
    write_mnist, tmp_path, no_data, monkeypatch
):
    write_mnist("shared/mnist")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "shared"))
    assert len(make("dataset", "mnist").load().train) == 6


def test_files_are_found_among_the_users_data(write_mnist, tmp_path, no_data):
    write_mnist("home/minidl/fashion_mnist")
    assert len(make("dataset", "fashion_mnist").load().train) == 6


def test_missing_files_are_named_with_the_places_and_how_to_get_them(
    no_data, tmp_path, monkeypatch
):
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "shared"))
    with pytest.raises(DataError) as caught:
        make("dataset", "mnist").load()
    assert str(caught.value) == (
        "dataset 'mnist': found no train-images-idx3-ubyte.gz (or the like, not gzipped) in "
        f"{tmp_path / 'shared' / 'mnist'} or in {no_data / 'mnist'}\n"
        "get train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz from https://storage.googleapis.com/cvdf-datasets/mnist/; "
        "put them there, or set MINIDL_DATA (the folder that holds mnist/) or root to where they "
        "are"
    )


def test_with_a_root_nothing_else_is_searched(write_mnist, tmp_path, no_data, monkeypatch):
    write_mnist("shared/mnist")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "shared"))
    with pytest.raises(DataError) as caught:
        make("dataset", {"type": "mnist", "root": str(tmp_path / "none")}).load()
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(f" in {tmp_path / 'none'}")
    assert lines[1].endswith("; put them there, or set root to where they are")


def test_images_without_their_labels_are_refused(write_mnist, write_idx, tmp_path):
    write_mnist("here")
    write_idx("here/train-labels-idx1-ubyte.gz", (5,))
    with pytest.raises(DataError) as caught:
        make("dataset", {"type": "mnist", "root": str(tmp_path / "here")}).load()
    assert str(caught.value) == (
        f"dataset 'mnist' ({tmp_path / 'here'}): the train files hold images of shape "
        "(6, 28, 28) and 5 labels; expected (samples, 28, 28) and as many labels"
    )


def test_a_label_that_is_no_class_is_refused(write_mnist, write_idx, tmp_path):
    write_mnist("here")
    write_idx("here/train-labels-idx1-ubyte.gz", (6,), [0, 1, 2, 10, 4, 5])
    with pytest.raises(DataError) as caught:
        make("dataset", {"type": "mnist", "root": str(tmp_path / "here")}).splits()
    assert str(caught.value).endswith("train target 3 is class 10; the 10 classes count from 0")


@pytest.mark.data
def test_the_real_mnist_is_read(data_folder):
    splits = make("dataset", {"type": "mnist", "root": str(data_folder / "mnist")}).splits(0.1)
    assert splits.describe()["samples"] == {"train": 54_000, "validation": 6_000, "test": 10_000}
    assert splits.train.inputs.nbytes == 60_000 * 784
    assert splits.train.inputs.mean() == pytest.approx(33.3, abs=0.2)
    assert splits.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    outline = make("dataset", "mnist").outline()
    assert (outline.input_spec, outline.target_spec) == (splits.input_spec, splits.target_spec)
    assert outline.classes == splits.classes and len(outline.train) == 60_000
