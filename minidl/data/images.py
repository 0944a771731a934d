"""What datasets of images share: how batches are prepared, how files of further images are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from minidl.data.arrays import NPY_MAGIC, ZIP_MAGIC, file_head, read_any
from minidl.data.base import Dataset
from minidl.data.files import reading
from minidl.data.idx import is_idx, read_idx
from minidl.errors import ConfigError, DataError
from minidl.graph import Tensor, tensor

_GZIP_MAGIC = b"\x1f\x8b"


class ImageDataset(Dataset):
    """Images as uint8 of shape (samples, channels, height, width), and a class for each.

    The network receives float32 in [0, 1], or ``(image - mean) / std`` of that where given.

    Attributes
    ----------
    flat : bool
        Give the network vectors of shape (samples, channels * height * width).
    mean, std : tuple of float
        One for all channels, or one a channel, on the scale of [0, 1].
    shape : tuple of int
        Channels, height and width.
    levels : int
        The greatest value a pixel can have.
    """

    shape: ClassVar[tuple[int, int, int]]
    levels: ClassVar[int] = 255

    flat: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[Annotated[float, Gt(0)], ...] = ()

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the images as float32 in [0, 1], normalised and flattened as the fields say."""
        values = inputs.astype("float32") / float(self.levels)
        if self.mean:
            values = values - self._per_channel("mean")
        if self.std:
            values = values / self._per_channel("std")
        return values.reshape((values.shape[0], -1)) if self.flat else values

    def read_inputs(self, path: str) -> np.ndarray:
        """Read images from a .npy, .npz, IDX, PNG or JPEG file; one image is a batch of one.

        Raises
        ------
        DataError
            If the file is none of these, or its images have another size.
        """
        file = Path(path)
        head = file_head(file)
        if head.startswith((NPY_MAGIC, ZIP_MAGIC)):
            images = read_any(file)
        elif head.startswith(_GZIP_MAGIC) or is_idx(head):
            images = read_idx(file, 3)
        else:
            return self._read_picture(file)
        return self._fit(images, path)

    def _per_channel(self, name: str) -> Tensor:
        values = getattr(self, name)
        if len(values) not in (1, self.shape[0]):
            raise ConfigError(
                f"dataset '{self.type_name}': {name} has {len(values)} values; "
                f"give one, or one for each of {self.shape[0]} channels"
            )
        return tensor(np.reshape(np.array(values, np.float32), (1, -1, 1, 1)))

    def _fit(self, images: np.ndarray, path: str) -> np.ndarray:
        """Return ``images`` as (samples, channels, height, width) of uint8."""
        size = int(np.prod(self.shape))
        fitting = {self.shape, (size,), self.shape[1:] if self.shape[0] == 1 else self.shape}
        if images.shape not in fitting and images.shape[1:] not in fitting:
            raise DataError(
                f"{path}: holds images of shape {images.shape}; dataset '{self.type_name}' takes "
                f"{self.shape} each, in any number"
            )
        if images.dtype.kind not in "biu":
            raise DataError(
                f"{path}: holds {images.dtype} pixels; expected integers from 0 to {self.levels}"
            )
        if images.size and (images.min() < 0 or images.max() > self.levels):
            raise DataError(
                f"{path}: pixels run from {images.min()} to {images.max()}; "
                f"expected 0 to {self.levels}"
            )
        return np.ascontiguousarray(images, np.uint8).reshape(-1, *self.shape)

    def _read_picture(self, path: Path) -> np.ndarray:
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError:
            raise DataError(
                f"{path}: reading pictures needs Pillow; install it with "
                "pip install 'minidl[data]', or give a .npy, .npz or IDX file"
            ) from None
        channels, height, width = self.shape
        with reading(path) as file:
            try:
                with Image.open(file) as picture:
                    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
            except (UnidentifiedImageError, Image.DecompressionBombError):
                raise DataError(
                    f"{path}: not a .npy, .npz, IDX, PNG or JPEG file that can be read"
                ) from None
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{path}: is {pixels.shape[1]} x {pixels.shape[0]} pixels; dataset "
                f"'{self.type_name}' takes {width} x {height}; resize it first"
            )
        planes = pixels.reshape(height, width, channels).transpose(2, 0, 1)
        scaled = np.round(planes * (self.levels / 255)).astype(np.uint8)
        return np.ascontiguousarray(scaled[np.newaxis])
