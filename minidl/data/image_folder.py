"""Pictures in folders, one a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt

from minidl.data.base import dataset
from minidl.data.batches import TEST, hold_out
from minidl.data.images import ImageDataset
from minidl.data.parts import LazyArray, Part, Splits
from minidl.data.pictures import SUFFIXES, Fit, check_picture, read_picture
from minidl.errors import DataError

_Length = Annotated[int, Ge(1)]
_PARTS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


class Pictures(LazyArray):
    """Pictures of one size, decoded when they are asked for.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    shape : tuple of int
        Channels, height and width.
    fit : {"crop", "stretch"}
    cache : bool
        Whether a picture that was decoded stays in memory.
    """

    def __init__(
        self, paths: Sequence[Path], shape: tuple[int, int, int], fit: Fit, cache: bool
    ) -> None:
        super().__init__((len(paths), *shape), "uint8")
        self.paths = paths
        self.fit = fit
        self._cached = np.empty(self.shape, np.uint8) if cache else None
        self._known = np.zeros(len(paths), bool)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return pictures, shape (rows, channels, height, width)."""
        rows = np.asarray(rows)
        if self._cached is None:
            made = np.empty((len(rows), *self.shape[1:]), np.uint8)
            for place, row in enumerate(rows):
                made[place] = self._decode(row)
            return made
        for row in rows[~self._known[rows]]:
            self._cached[row] = self._decode(row)
            self._known[row] = True
        return self._cached[rows]

    def _decode(self, row: int) -> np.ndarray:
        channels, height, width = self.shape[1:]
        return read_picture(self.paths[row], channels, size=(height, width), fit=self.fit)


@dataset("image_folder")
class ImageFolder(ImageDataset):
    """PNG and JPEG files: a folder a class, named after it.

    A folder ``train`` that holds such folders makes the training part, ``validation`` (or ``val``)
    and ``test`` beside it the others; without it, a share of every class is held out. Pictures of
    any size are brought to one. They are decoded when they are used first, so a file that is
    damaged behind its beginning is only noticed, and named, then.

    Attributes
    ----------
    path : str
        The folder of the folders.
    size : int or tuple of int
        Height and width; one number for both.
    channels : {3, 1}
        Colours or grey.
    fit : {"crop", "stretch"}
        Keep the proportions of a picture and cut off evenly what is too much, or do not keep them.
    cache : bool
        Keep decoded pictures in memory, as bytes; without it they are decoded every time, which a
        thread can do (``prefetch``).
    test_fraction : float
        Without a folder ``test``, the share of the pictures that make the test part; 0 for none.
    split_seed : int
        What the choice of these pictures is a function of.
    """

    paths: ClassVar[tuple[str, ...]] = ("path",)

    path: str = field(kw_only=True)
    size: _Length | tuple[_Length, _Length] = field(kw_only=True)
    channels: Literal[1, 3] = 3
    fit: Fit = "crop"
    cache: bool = True
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    split_seed: int = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return (self.channels, height, width)

    def load(self) -> Splits:
        """Find the pictures, and look at how each file begins.

        Raises
        ------
        DataError
            If there are none, a file is no picture, or a class has no pictures to train with.
        """
        root = Path(self.path)
        folders = _part_folders(root)
        train = folders["train"]
        classes = tuple(folder.name for folder in _subfolders(train))
        if not classes:
            raise DataError(
                f"{train}: found no folders in it; it must hold a folder of pictures for each class"
            )
        parts = {name: self._part(folder, classes) for name, folder in folders.items()}
        counts = np.bincount(np.asarray(parts["train"].targets), minlength=len(classes))
        if not counts.all():
            empty = train / classes[int(np.argmin(counts))]
            raise DataError(f"{empty}: has no PNG or JPEG files to train with")
        splits = Splits(parts["train"], parts.get("validation"), parts.get("test"), classes)
        if splits.test is None and self.test_fraction:
            rest, held = hold_out(splits.train, self.test_fraction, self.split_seed, TEST)
            return replace(splits, train=rest, test=held)
        return splits

    def read_inputs(self, path: str) -> np.ndarray:
        """Read a picture of any size, all those in a folder, sorted, or an array of images.

        Raises
        ------
        DataError
            If a file cannot be read, or an array does not fit.
        """
        folder = Path(path)
        if not folder.is_dir():
            return super().read_inputs(path)
        files = _pictures_in(folder)
        if not files:
            raise DataError(f"{path}: has no PNG or JPEG files")
        return np.concatenate([self._read_picture(file) for file in files])

    def input_names(self, path: str) -> tuple[str, Sequence[str]] | None:
        """Return the file of each picture, as it lies in the folder."""
        given = Path(path)
        if given.is_dir():
            return "file", [file.relative_to(given).as_posix() for file in _pictures_in(given)]
        return ("file", [given.name]) if given.suffix.lower() in SUFFIXES else None

    def _read_picture(self, path: Path) -> np.ndarray:
        return Pictures([path], self.image_shape, self.fit, False).take(np.array([0]))

    def _part(self, folder: Path, classes: Sequence[str]) -> Part:
        paths, labels = [], []
        for each in _subfolders(folder):
            if each.name not in classes:
                raise DataError(
                    f"{each}: is no class that is trained (those are {', '.join(classes)})"
                )
            found = _pictures_in(each)
            paths += found
            labels += [classes.index(each.name)] * len(found)
        for path in paths:
            check_picture(path)
        pictures = Pictures(paths, self.image_shape, self.fit, self.cache)
        return Part(pictures, np.array(labels, np.int64))


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part; a class may be called ``train``, but holds no folders."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    if not (root / "train").is_dir() or not _subfolders(root / "train"):
        return {"train": root}
    found: dict[str, Path] = {}
    for part, names in _PARTS.items():
        for name in names:
            if (root / name).is_dir():
                found.setdefault(part, root / name)
    return found


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
