import gzip
import tracemalloc

import numpy as np
import pytest

from minidl.data.idx import read_idx
from minidl.errors import DataError

both = pytest.mark.parametrize("end", ["", ".gz"])


def refusal(path, axes=3):
    with pytest.raises(DataError) as caught:
        read_idx(path, axes)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@both
def test_an_idx_file_is_read_gzipped_or_not(write_idx, end):
    array = read_idx(write_idx("images" + end, (2, 3, 4)), 3)
    assert array.dtype == np.uint8
    assert np.array_equal(array, np.arange(24).reshape(2, 3, 4))


def test_gzip_is_told_by_its_content_not_by_the_name(write_idx):
    path = write_idx("labels.gz", (5,))
    renamed = path.rename(path.with_name("labels"))
    assert read_idx(renamed, 1).tolist() == [0, 1, 2, 3, 4]


@both
def test_an_empty_array_is_read(write_idx, end):
    assert read_idx(write_idx("none" + end, (0, 28, 28)), 3).shape == (0, 28, 28)


def test_a_truncated_file_is_refused_with_both_sizes(write_idx):
    assert refusal(write_idx("t", (2, 3, 4), keep=30)) == (
        "truncated: its header announces 2 x 3 x 4 = 24 bytes, the file holds 14"
    )


def test_truncated_inside_gzip(write_idx):
    payload = np.random.default_rng(0).integers(0, 256, 24_000)
    path = write_idx("t.gz", (1000, 24), payload, keep=12_000)
    message = refusal(path, 2)
    assert message.startswith("truncated: its header announces 1000 x 24 = 24000 bytes, found ")
    assert 10_000 < int(message.rpartition(" ")[2]) < 12_000


def test_gzip_of_too_few_bytes(write_idx):
    path = write_idx("t.gz", (2, 3, 4))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-5]))
    assert refusal(path) == "truncated: its header announces 2 x 3 x 4 = 24 bytes, found 19"


@both
def test_bytes_after_the_array_are_refused(write_idx, end):
    path = write_idx("long" + end, (2, 3), np.arange(9))
    assert refusal(path, 2) == (
        "its header announces 2 x 3 = 6 bytes, but at least 9 follow it; "
        "the header or the file is damaged"
    )


@both
@pytest.mark.parametrize("keep", [0, 3, 7, 15])
def test_a_truncated_header_is_refused(write_idx, tmp_path, end, keep):
    data = write_idx("whole", (2, 3, 4)).read_bytes()[:keep]
    path = tmp_path / ("cut" + end)
    path.write_bytes(gzip.compress(data) if end else data)
    assert refusal(path) == f"truncated: expected a header of 16 bytes, found {keep}"


def test_a_wrong_magic_number_is_refused(write_idx):
    assert refusal(write_idx("floats", (2,), magic=0xD01), 1) == (
        "not an IDX file of unsigned bytes: it begins with 00000d01, expected 00000801"
    )


def test_images_in_the_place_of_labels_are_refused(write_idx):
    assert refusal(write_idx("images", (2, 3, 4)), 1) == (
        "holds an array of 3 axes, expected 1; are images and labels exchanged?"
    )


@both
def test_an_absurd_header_is_refused_before_memory_is_taken(write_idx, end):
    path = write_idx("absurd" + end, (1, 1, 1))
    data = b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 100
    path.write_bytes(gzip.compress(data) if end else data)
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    size = 0xFFFFFFFF
    assert message.startswith(
        f"truncated: its header announces {size} x {size} x {size} = {size**3} bytes, "
        f"the file holds {'at most ' if end else '100'}"
    )


def test_corrupt_gzip_is_refused(write_idx):
    path = write_idx("c.gz", (200, 3))
    data = bytearray(path.read_bytes())
    data[20:40] = b"\xff" * 20
    path.write_bytes(data)
    assert refusal(path, 2).startswith("the compressed data is corrupt: Error -3 while")


def test_a_wrong_gzip_checksum_is_refused(write_idx):
    path = write_idx("c.gz", (200, 3))
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    assert refusal(path, 2).startswith("the compressed data is corrupt: CRC check failed")


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none") == "no such file"


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == "cannot be read: Is a directory"


def test_memory_is_taken_once(write_idx):
    path = write_idx("big.gz", (5000, 1000), np.zeros(5_000_000))
    tracemalloc.start()
    read_idx(path, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000 + 4_500_000
