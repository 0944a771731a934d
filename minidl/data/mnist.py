"""MNIST and Fashion-MNIST: 70,000 grey images of 28 x 28 in ten classes, as IDX files."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minidl.data.base import dataset
from minidl.data.files import find_files
from minidl.data.idx import read_idx
from minidl.data.images import ImageDataset
from minidl.data.parts import Part, Splits
from minidl.errors import DataError


class IdxImages(ImageDataset):
    """Images and labels in four IDX files, gzipped or not."""

    paths = ("root",)
    shape = (1, 28, 28)
    count = 60_000
    advice: ClassVar[str]

    root: str = ""

    def load(self) -> Splits:
        """Read the 60,000 training and 10,000 test images, kept as uint8.

        Raises
        ------
        DataError
            If a file is missing, truncated or corrupt, or images and labels do not match.
        """
        return Splits(self._part("train"), test=self._part("t10k"), classes=self.names)

    def _part(self, prefix: str) -> Part:
        images = self._read(f"{prefix}-images", 3)
        labels = self._read(f"{prefix}-labels", 1)
        if images.shape[1:] != self.shape[1:] or len(images) != len(labels):
            raise DataError(
                f"{self.label}: the {prefix} files hold images of shape {images.shape} and "
                f"{len(labels)} labels; expected (samples, 28, 28) and as many labels"
            )
        return Part(images.reshape(-1, *self.shape), labels.astype(np.int64))

    def _read(self, stem: str, axes: int) -> np.ndarray:
        names = [f"{stem}{dot}idx{axes}-ubyte{end}" for end in (".gz", "") for dot in "-."]
        what = f"{names[0]} (or the like, not gzipped)"
        return read_idx(find_files(self.type_name, names, what, self.advice, self.root)[0], axes)


@dataset("mnist")
class Mnist(IdxImages):
    """Handwritten digits (LeCun, Cortes and Burges): 60,000 to train with, 10,000 to test.

    Attributes
    ----------
    root : str
        Folder of the files. Default: ``mnist`` in the folder that the environment variable
        MINIDL_DATA names, else in minidl's folder among the user's data.
    """

    names = tuple("0123456789")
    advice = (
        "get train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz from https://storage.googleapis.com/cvdf-datasets/mnist/"
    )


@dataset("fashion_mnist")
class FashionMnist(IdxImages):
    """Pictures of clothing (Xiao, Rasul and Vollgraf, 2017), in the form of MNIST.

    Attributes
    ----------
    root : str
        Folder of the files. Default: ``fashion_mnist`` in the folder that the environment
        variable MINIDL_DATA names, else in minidl's folder among the user's data.
    """

    names = (
        "t-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )
    advice = (
        "get train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz from data/fashion in "
        "https://github.com/zalandoresearch/fashion-mnist"
    )
