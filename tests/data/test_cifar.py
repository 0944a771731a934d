import numpy as np
import pytest

from minidl.component import make
from minidl.errors import DataError


@pytest.fixture
def cifar(tmp_path):
    """Write files of records and return the dataset."""

    def write(**counts):
        for name, count in counts.items():
            records = np.zeros((count, 3073), np.uint8)
            records[:, 0] = np.arange(count) % 10
            records[:, 1] = 7
            records[:, 3072] = np.arange(count) % 256
            (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
        return make("dataset", {"type": "cifar10", "root": str(tmp_path)})

    return write


def test_records_become_images_in_channel_row_column_order(cifar):
    splits = cifar(data_batch_1=1200, test_batch_1k=20).splits()
    train = splits.train
    assert train.inputs.shape == (1200, 3, 32, 32)
    assert train.inputs.dtype == np.uint8 and train.inputs.flags.c_contiguous
    assert set(train.inputs[:, 0, 0, 0]) == {7}
    assert train.inputs[1199, 2, 31, 31] == 1199 % 256
    assert train.targets[1195:].tolist() == [5, 6, 7, 8, 9]
    assert splits.classes[3] == "cat"


def test_all_the_batches_there_are_are_taken_in_order(cifar):
    splits = cifar(data_batch_2=3, data_batch_1=10, test_batch=2).splits()
    assert splits.train.targets.tolist() == [*range(10), 0, 1, 2]
    assert len(splits.test) == 2


def test_a_file_of_records_is_read_as_new_images(cifar, tmp_path):
    made = cifar(data_batch_1=20, test_batch=1, more=3)
    images = made.read_inputs(str(tmp_path / "more.bin"))
    assert np.array_equal(images, made.splits().train.inputs[:3])
    with pytest.raises(DataError) as caught:
        made.read_inputs(str(tmp_path / "gone.bin"))
    assert str(caught.value) == f"{tmp_path / 'gone.bin'}: no such file"


def test_part_of_a_record_is_refused(cifar, tmp_path):
    made = cifar(data_batch_1=10, test_batch=2)
    file = tmp_path / "data_batch_1.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        made.load()
    assert str(caught.value) == (
        f"{file}: 30729 bytes are not a whole number of records of 3073 bytes (9 records and "
        "3072 bytes); the file is truncated or not CIFAR-10 in its binary version"
    )


def test_a_label_that_is_no_class_is_refused(cifar, tmp_path):
    made = cifar(data_batch_1=10, test_batch=2)
    file = tmp_path / "data_batch_1.bin"
    data = bytearray(file.read_bytes())
    data[3073 * 4] = 77
    file.write_bytes(data)
    with pytest.raises(DataError) as caught:
        made.load()
    assert str(caught.value) == (
        f"{file}: record 4 has label 77, expected 0 to 9; "
        "the file is not CIFAR-10 in its binary version"
    )


def test_a_missing_test_file_is_named(cifar, tmp_path):
    with pytest.raises(DataError) as caught:
        cifar(data_batch_1=10).load()
    assert str(caught.value) == (
        f"dataset 'cifar10': found no test_batch*.bin in {tmp_path}\n"
        "get data_batch_1.bin to data_batch_5.bin and test_batch.bin, from "
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz; "
        "put them there, or set root to where they are"
    )


@pytest.mark.data
def test_the_real_cifar_is_read(data_folder):
    splits = make("dataset", {"type": "cifar10", "root": str(data_folder / "cifar10")}).splits()
    assert len(splits.train) % 10_000 == 0
    assert np.bincount(splits.test.targets, minlength=10).min() > 0
    assert splits.train.inputs.mean() == pytest.approx(120.7, abs=2)
    outline = make("dataset", "cifar10").outline()
    assert (outline.input_spec, outline.target_spec) == (splits.input_spec, splits.target_spec)
    assert outline.classes == splits.classes
