"""Arrays from .npy and .npz files, read without pickle and without trusting what they claim.

A header may claim a terabyte: what it claims is held against what the file has before memory is
taken. Arrays that are not compressed are mapped, not read: their samples come from disk
when a batch of them is used.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy_format

from minidl.data.files import byte_view, deflated_bound, fill, reading
from minidl.errors import DataError

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"

_HEADER_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RecursionError,
)
"""What NumPy's reader of headers raises for one thing or another that is no header."""
_LOCAL_HEADER = struct.Struct("<26x2H")


class Header(NamedTuple):
    """What a .npy header claims."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """The bytes that must follow it."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, found: int, label: str) -> None:
        """Raise DataError unless ``found`` bytes follow it."""
        if found != self.nbytes:
            raise DataError(
                f"{label}: its header announces {self.dtype.name}{list(self.shape)} = "
                f"{self.nbytes} bytes, found {max(0, found)}"
            )


def read_npy(path: Path) -> np.ndarray:
    """Map the array of a .npy file.

    Raises
    ------
    DataError
        If it is no such file, or truncated.
    """
    with reading(path) as file:
        header = _read_header(file, str(path))
        start = file.tell()
        header.check(path.stat().st_size - start, str(path))
        return _map(path, start, header)


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays of a .npz file."""
    with reading(path) as file, _archive(file, path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(path: Path, name: str) -> np.ndarray:
    """Read or map the array ``name`` of a .npz file.

    Raises
    ------
    DataError
        If the file is no .npz file, has no such array, or is truncated or corrupt.
    """
    label = f"{path}: array '{name}'"
    with reading(path) as file, _archive(file, path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if name not in members:
            raise DataError(f"{path}: has no array '{name}' (it has {', '.join(members)})")
        info = members[name]
        try:
            with archive.open(info) as member:
                header = _read_header(member, label)
                done = member.tell()
                if info.compress_type != zipfile.ZIP_STORED:
                    return _read(cast(BufferedIOBase, member), info, done, header, label)
            start = _start_of(file, info) + done
            header.check(min(info.file_size - done, path.stat().st_size - start), label)
            return _map(path, start, header)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as e:
            raise DataError(f"{label} is corrupt: {e}") from None


def read_any(path: Path, names: Sequence[str] = ("x", "inputs")) -> np.ndarray:
    """Read the array of a .npy file, or of a .npz file the only one or one called ``names``."""
    if file_head(path).startswith(NPY_MAGIC):
        return read_npy(path)
    found = npz_names(path)
    chosen = found if len(found) == 1 else [name for name in names if name in found]
    if not chosen:
        raise DataError(
            f"{path}: has the arrays {', '.join(found)}; call the inputs '{names[0]}', "
            "or let them be the only array"
        )
    return read_npz(path, chosen[0])


def is_array_file(path: Path) -> bool:
    """Whether a file begins as .npy and .npz files do."""
    return file_head(path).startswith((NPY_MAGIC, ZIP_MAGIC))


def file_head(path: Path) -> bytes:
    """Return the first bytes of a file, by which formats are told apart."""
    with reading(path) as file:
        return file.read(8)


def _archive(file: IO[bytes], path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a .npz file, or a damaged one: {error}") from None


def _read_header(stream: IO[bytes], label: str) -> Header:
    try:
        version = npy_format.read_magic(stream)
        if version not in _HEADER_READERS:
            raise ValueError(f"its format version is {version[0]}.{version[1]}, known: 1.0, 2.0")
        shape, fortran, dtype = _HEADER_READERS[version](stream)
    except _HEADER_ERRORS as error:
        raise DataError(f"{label}: not an array in .npy format: {error}") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise DataError(f"{label} has dtype {dtype}; expected numbers (bool, integer or float)")
    if any(length < 0 for length in shape):
        raise DataError(f"{label}: its header announces the impossible shape {shape}")
    return Header(shape, fortran, dtype)


def _map(path: Path, start: int, header: Header) -> np.ndarray:
    if header.nbytes == 0:
        return np.empty(header.shape, header.dtype.newbyteorder("="))
    order: Literal["C", "F"] = "F" if header.fortran else "C"
    mapped = np.memmap(path, header.dtype, "r", start, header.shape, order)
    return _native(np.asarray(mapped))


def _read(
    member: BufferedIOBase, info: zipfile.ZipInfo, done: int, header: Header, label: str
) -> np.ndarray:
    bound = info.file_size
    if info.compress_type == zipfile.ZIP_DEFLATED:
        bound = min(bound, deflated_bound(info.compress_size))
    header.check(bound - done, label)
    memory = np.empty(header.nbytes, np.uint8)
    header.check(fill(member, byte_view(memory)), label)
    values = memory.view(header.dtype)
    if header.fortran:
        return _native(values.reshape(header.shape[::-1]).T)
    return _native(values.reshape(header.shape))


def _start_of(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Return where in ``file`` the data of a stored member begins, behind its local header."""
    file.seek(info.header_offset)
    name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    return info.header_offset + _LOCAL_HEADER.size + name_length + extra_length


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)
