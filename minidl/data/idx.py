"""The IDX format of MNIST and its kin: receives a file, returns its array of bytes.

A header of big-endian 32-bit words (two zero bytes, the type code, the number of axes; then the
length of each axis) and the values in row-major order (LeCun, Cortes, Burges: "The MNIST
database of handwritten digits").
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from minidl.data.files import ByteSource, byte_view, reading
from minidl.errors import DataError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or not, into one uint8 array.

    Parameters
    ----------
    axes : int
        How many axes the array must have.

    Raises
    ------
    DataError
        If it is no such file, truncated or corrupt; memory is taken only for what the file can
        hold, whatever its header claims.
    """
    with reading(path) as file:
        source = ByteSource(file, path)
        shape = _read_header(source, axes)
        expected = math.prod(shape)
        header = 4 + 4 * axes
        if header + expected > source.limit:
            most = "" if source.exact else "at most "
            raise DataError(
                f"{path}: truncated: its header announces {_times(shape)} = {expected} bytes, "
                f"the file holds {most}{source.limit - header}"
            )
        array = np.empty(shape, np.uint8)
        found = source.fill(byte_view(array))
        if found < expected:
            raise DataError(
                f"{path}: truncated: its header announces {_times(shape)} = {expected} bytes, "
                f"found {found}"
            )
        excess = source.remaining()
        if excess:
            raise DataError(
                f"{path}: its header announces {_times(shape)} = {expected} bytes, but at least "
                f"{expected + excess} follow it; the header or the file is damaged"
            )
    return array


def is_idx(head: bytes | bytearray) -> bool:
    """Whether a file that begins with ``head`` is an IDX file of unsigned bytes."""
    return head[:3] == bytes((0, 0, _UNSIGNED_BYTE))


def _read_header(source: ByteSource, axes: int) -> tuple[int, ...]:
    header = bytearray(4 + 4 * axes)
    found = source.fill(memoryview(header))
    if found >= 4 and not is_idx(header):
        raise DataError(
            f"{source.path}: not an IDX file of unsigned bytes: it begins with "
            f"{header[:4].hex()}, expected {bytes((0, 0, _UNSIGNED_BYTE, axes)).hex()}"
        )
    if found >= 4 and header[3] != axes:
        raise DataError(
            f"{source.path}: holds an array of {header[3]} axes, expected {axes}; "
            "are images and labels exchanged?"
        )
    if found < len(header):
        raise DataError(
            f"{source.path}: truncated: expected a header of {len(header)} bytes, found {found}"
        )
    return struct.unpack(f">{axes}I", header[4:])


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
