import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from minidl.data.arrays import npz_names, read_any, read_npy, read_npz
from minidl.errors import DataError

CASES = {
    "plain": np.arange(24, dtype=np.float32).reshape(4, 6),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(4, 6)),
    "big-endian": np.arange(6, dtype=">i4"),
    "bytes": np.arange(10, dtype=np.uint8),
    "truth": np.array([True, False]),
    "empty": np.zeros((0, 3)),
    "number": np.array(3.5),
}


def header(shape, descr="<f8"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(path, data, name="x.npy", compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, data)
    return path


def refusal(read, *args):
    with pytest.raises(DataError) as caught:
        read(*args)
    return str(caught.value).replace(str(args[0]), "FILE")


@pytest.mark.parametrize("array", CASES.values(), ids=CASES)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_npz_files_are_read(tmp_path, array, save):
    save(tmp_path / "a.npz", other=np.ones(3), x=array)
    found = read_npz(tmp_path / "a.npz", "x")
    assert type(found) is np.ndarray
    assert found.dtype == array.dtype.newbyteorder("=") and found.dtype.isnative
    assert np.array_equal(found, array)


@pytest.mark.parametrize("array", CASES.values(), ids=CASES)
def test_npy_files_are_read(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    found = read_npy(tmp_path / "a.npy")
    assert type(found) is np.ndarray and found.dtype.isnative
    assert np.array_equal(found, array)


@pytest.mark.parametrize("read", [read_npy, lambda path: read_npz(path, "x")])
def test_what_is_not_compressed_stays_on_disk(tmp_path, read):
    big = np.ones((1000, 1000))
    path = tmp_path / "a"
    with path.open("wb") as file:
        np.save(file, big) if read is read_npy else np.savez(file, x=big)
    tracemalloc.start()
    found = read(path)
    assert np.array_equal(found[[3, 999]], big[:2])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_compressed_arrays_take_their_memory_once(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.ones(1_000_000))
    tracemalloc.start()
    read_npz(tmp_path / "a.npz", "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000 + 3_500_000


def test_the_names_of_an_archive(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(1), y=np.ones(1))
    assert npz_names(tmp_path / "a.npz") == ["x", "y"]
    assert refusal(read_npz, tmp_path / "a.npz", "z") == "FILE: has no array 'z' (it has x, y)"


def test_the_inputs_of_an_archive_are_the_only_array_or_go_by_name(tmp_path):
    np.savez(tmp_path / "one.npz", anything=np.ones(1))
    assert read_any(tmp_path / "one.npz").tolist() == [1]
    np.savez(tmp_path / "two.npz", y=np.ones(1), x=np.zeros(1))
    assert read_any(tmp_path / "two.npz").tolist() == [0]
    np.savez(tmp_path / "bad.npz", a=np.ones(1), b=np.zeros(1))
    assert refusal(read_any, tmp_path / "bad.npz") == (
        "FILE: has the arrays a, b; call the inputs 'x', or let them be the only array"
    )


def test_pickles_are_never_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}, None]))
    assert refusal(read_npz, tmp_path / "a.npz", "x") == (
        "FILE: array 'x' has dtype object; expected numbers (bool, integer or float)"
    )
    np.save(tmp_path / "a.npy", np.array(["text"]))
    assert refusal(read_npy, tmp_path / "a.npy") == (
        "FILE has dtype <U4; expected numbers (bool, integer or float)"
    )


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_claims_a_terabyte_is_refused_before_memory_is_taken(tmp_path, compression):
    path = zipped(tmp_path / "a.npz", header((125_000_000_000,)) + b"\0" * 80, "x.npy", compression)
    tracemalloc.start()
    message = refusal(read_npz, path, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert message == (
        "FILE: array 'x': its header announces float64[125000000000] = 1000000000000 bytes, "
        "found 80"
    )


def test_an_archive_that_claims_a_terabyte_too_is_refused(tmp_path):
    data = header((125_000_000_000,)) + b"\0" * 80
    path = zipped(tmp_path / "a.npz", data)
    forged = bytearray(path.read_bytes())
    directory = forged.rindex(b"PK\x01\x02")
    forged[directory + 24 : directory + 28] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(forged)
    tracemalloc.start()
    message = refusal(read_npz, path, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert "its header announces float64[125000000000] = 1000000000000 bytes, found " in message


def test_a_truncated_npy_file_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones(100))
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(read_npy, path) == (
        "FILE: its header announces float64[100] = 800 bytes, found 799"
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_cut_short_is_refused(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, x=np.random.default_rng(0).random(1000))
    whole = path.read_bytes()
    for keep in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        message = refusal(read_npz, path, "x")
        assert message.startswith("FILE: not a .npz file, or a damaged one: ")


def test_an_array_cut_short_inside_its_archive_is_refused(tmp_path):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = zipped(tmp_path / "a.npz", header((4,)) + b"\0" * 31, "x.npy", compression)
        assert refusal(read_npz, path, "x") == (
            "FILE: array 'x': its header announces float64[4] = 32 bytes, found 31"
        )


def test_corrupt_compressed_data_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 9, 5000))
    data = bytearray(path.read_bytes())
    data[600:640] = b"\xaa" * 40
    path.write_bytes(data)
    assert refusal(read_npz, path, "x").startswith("FILE: array 'x' is corrupt: ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16,
        b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
        b"\x93NUMPY\x01\x00\xff\xff" + b" " * 16,
        header("__import__('os')"),
        header((2,), "nonsense"),
    ],
)
def test_nonsense_headers_are_refused(tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    assert refusal(read_npy, tmp_path / "a.npy").startswith("FILE: not an array in .npy format: ")
    path = zipped(tmp_path / "a.npz", data)
    message = refusal(read_npz, path, "x")
    assert message.startswith("FILE: array 'x': not an array in .npy format: ")


def test_negative_lengths_are_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((-2,)) + b"\0" * 16)
    assert refusal(read_npy, tmp_path / "a.npy") == (
        "FILE: its header announces the impossible shape (-2,)"
    )


def test_no_archive_at_all(tmp_path):
    (tmp_path / "a.npz").write_text("hello")
    assert refusal(npz_names, tmp_path / "a.npz") == (
        "FILE: not a .npz file, or a damaged one: File is not a zip file"
    )
    assert refusal(npz_names, tmp_path / "none.npz") == "FILE: no such file"


def test_version_2_headers_are_read(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.arange(3), version=(2, 0))
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    assert read_npy(tmp_path / "a.npy").tolist() == [0, 1, 2]
