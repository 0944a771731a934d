"""Finding a dataset's files and reading bytes from them without trusting what they claim."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path

import numpy as np

from minidl.errors import DataError

DATA_VARIABLE = "MINIDL_DATA"

_CHUNK = 1 << 20
_DEFLATE_RATIO = 1032
"""No deflate stream expands further (zlib, "Maximum Compression Factor")."""


def data_folders(name: str, root: str = "") -> list[Path]:
    """Return the folders where the files of dataset ``name`` may lie, in the order of search.

    ``root`` alone if it is given; else ``name`` under the folder that the environment variable
    MINIDL_DATA names, if it does, and under minidl's folder among the user's data.
    """
    if root:
        return [Path(root).expanduser()]
    import platformdirs

    shared = os.environ.get(DATA_VARIABLE)
    folders = [Path(shared).expanduser() / name] if shared else []
    return [*folders, Path(platformdirs.user_data_dir("minidl", appauthor=False)) / name]


def find_files(
    name: str,
    patterns: Sequence[str],
    what: str,
    advice: str,
    root: str = "",
    setting: str = "root",
) -> list[Path]:
    """Return the files that match the first pattern to match any, in the first folder with one.

    ``what`` and ``advice`` tell a person what to look for and how to get it, ``setting`` which
    field of the dataset says where it is.

    Raises
    ------
    DataError
        Saying what was looked for, where, and how to get it.
    """
    folders = data_folders(name, root)
    for folder in folders:
        for pattern in patterns:
            found = sorted(path for path in folder.glob(pattern) if path.is_file())
            if found:
                return found
    where = setting if root else f"{DATA_VARIABLE} (the folder that holds {name}/) or {setting}"
    raise DataError(
        f"dataset '{name}': found no {what} in {' or in '.join(map(str, folders))}"
        f"\n{advice}; put them there, or set {where} to where they are"
    )


@contextmanager
def reading(path: Path) -> Iterator[BufferedReader]:
    """Open a file of bytes; what the system or a decompressor objects to becomes a DataError."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the compressed data is corrupt: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


class ByteSource:
    """The bytes of an open file, decompressed if they are gzipped; ``limit`` is their bound."""

    def __init__(self, file: BufferedReader, path: Path) -> None:
        size = path.stat().st_size
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self.path = path
        self.exact = not gzipped
        self.limit = size * _DEFLATE_RATIO if gzipped else size
        self._stream = gzip.GzipFile(fileobj=file) if gzipped else file

    def fill(self, buffer: memoryview) -> int:
        """Read into ``buffer`` until it is full or the file ends, and return the bytes read."""
        return fill(self._stream, buffer)

    def remaining(self) -> int:
        """Return how many bytes are left, reading up to one chunk; checks a gzip checksum."""
        return fill(self._stream, memoryview(bytearray(_CHUNK)))


def fill(stream: BufferedIOBase, buffer: memoryview) -> int:
    """Read from ``stream`` into ``buffer`` in chunks, straight to its place; return the bytes."""
    done = 0
    while done < len(buffer):
        try:
            data = stream.read1(min(_CHUNK, len(buffer) - done))
        except EOFError:
            break
        if not data:
            break
        buffer[done : done + len(data)] = data
        done += len(data)
    return done


def deflated_bound(compressed: int) -> int:
    """Return the most bytes that ``compressed`` bytes of deflated data can hold."""
    return compressed * _DEFLATE_RATIO


def byte_view(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array as bytes to be written to."""
    return array.reshape(-1).view(np.uint8).data
