"""CIFAR-10: 60,000 colour images of 32 x 32 in ten classes, in the binary version."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minidl.data.base import dataset
from minidl.data.files import byte_view, fill, find_files, reading
from minidl.data.images import ImageDataset
from minidl.data.parts import Part, Splits
from minidl.errors import DataError

_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS
_RECORDS_AT_ONCE = 1000

_ADVICE = (
    "get data_batch_1.bin to data_batch_5.bin and test_batch.bin, "
    "from https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
)


@dataset("cifar10")
class Cifar10(ImageDataset):
    """Colour images of ten classes (Krizhevsky, 2009): 50,000 to train with, 10,000 to test.

    A record is a label byte, then 3,072 bytes in channel, row, column order. Whichever files
    ``data_batch_*.bin`` and ``test_batch*.bin`` there are, are taken.

    Attributes
    ----------
    root : str
        Folder of the files. Default: ``cifar10`` in the folder that the environment variable
        MINIDL_DATA names, else in minidl's folder among the user's data.
    """

    paths = ("root",)
    shape = (3, 32, 32)
    names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    count = 50_000

    root: str = ""

    def load(self) -> Splits:
        """Read the images, kept as uint8.

        Raises
        ------
        DataError
            If a file is missing, or is not a whole number of records, or has another label.
        """
        return Splits(
            self._part("data_batch_*.bin"),
            test=self._part("test_batch*.bin"),
            classes=self.names,
        )

    def read_inputs(self, path: str) -> np.ndarray:
        """Read images from a .bin file of CIFAR-10, or as other image datasets do.

        Raises
        ------
        DataError
            If the file is none of these, or its images have another size.
        """
        if not path.endswith(".bin"):
            return super().read_inputs(path)
        images, _ = _read_records([Path(path)])
        return images.reshape(-1, *self.shape)

    def _part(self, pattern: str) -> Part:
        paths = find_files(self.type_name, [pattern], pattern, _ADVICE, self.root)
        images, labels = _read_records(paths)
        return Part(images.reshape(-1, *self.shape), labels)


def _read_records(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels, (samples, 3072) of uint8, and the labels, int64, of several files."""
    counts = [_count_records(path) for path in paths]
    images = np.empty((sum(counts), _PIXELS), np.uint8)
    labels = np.empty(sum(counts), np.int64)
    start = 0
    for path, count in zip(paths, counts, strict=True):
        _read_file(path, images[start : start + count], labels[start : start + count])
        start += count
    return images, labels


def _count_records(path: Path) -> int:
    with reading(path) as file:
        size = file.seek(0, os.SEEK_END)
    if size == 0 or size % _RECORD:
        raise DataError(
            f"{path}: {size} bytes are not a whole number of records of {_RECORD} bytes "
            f"({size // _RECORD} records and {size % _RECORD} bytes); the file is truncated or "
            "not CIFAR-10 in its binary version"
        )
    return size // _RECORD


def _read_file(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    block = np.empty((_RECORDS_AT_ONCE, _RECORD), np.uint8)
    with reading(path) as file:
        for start in range(0, len(images), _RECORDS_AT_ONCE):
            records = block[: len(images) - start]
            found = fill(file, byte_view(records))
            if found < records.nbytes:
                raise DataError(
                    f"{path}: truncated while it was read: expected "
                    f"{len(images) * _RECORD} bytes, found {start * _RECORD + found}"
                )
            labels[start : start + len(records)] = records[:, 0]
            images[start : start + len(records)] = records[:, 1:]
    wrong = np.flatnonzero(labels > 9)
    if wrong.size:
        raise DataError(
            f"{path}: record {wrong[0]} has label {labels[wrong[0]]}, expected 0 to 9; "
            "the file is not CIFAR-10 in its binary version"
        )
