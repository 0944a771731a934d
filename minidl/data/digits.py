"""The digits that minidl brings along: 1,797 images of 8 x 8, in the package itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minidl.data.arrays import read_npz
from minidl.data.base import dataset
from minidl.data.images import ImageDataset
from minidl.data.parts import Part, Splits

_FILE = Path(__file__).parent / "digits.npz"


@dataset("digits")
class Digits(ImageDataset):
    """Handwritten digits (Alpaydin and Kaynak, 1998): 1,437 to train with, 360 to test.

    The pixels count, from 0 to 16, the ink in blocks of 4 x 4 of a larger image. The test part
    is fixed: with the samples sorted by class and within a class in the order of the source,
    sample ``floor((i + 1/2) * 1797 / 360)`` for each i, so that every class has its share. Origin
    and licence stand in ``digits.md`` beside the data.

    Attributes
    ----------
    flat : bool
        Give the network vectors of 64; otherwise images of shape (1, 8, 8).
    """

    shape = (1, 8, 8)
    levels = 16

    flat: bool = True

    def load(self) -> Splits:
        """Read the digits from the package; 0.1 MB."""
        images = read_npz(_FILE, "images").reshape(-1, *self.shape)
        labels = read_npz(_FILE, "labels").astype(np.int64)
        held = read_npz(_FILE, "test")
        return Splits(
            Part(images[~held], labels[~held]),
            test=Part(images[held], labels[held]),
            classes=tuple("0123456789"),
        )
