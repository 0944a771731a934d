"""What datasets of images share: how batches are prepared, how files of further images are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from minidl.data.arrays import NPY_MAGIC, ZIP_MAGIC, file_head, read_any
from minidl.data.base import Dataset
from minidl.data.idx import is_idx, read_idx
from minidl.data.parts import LazyArray, Part, Splits
from minidl.data.pictures import read_picture
from minidl.errors import ConfigError, DataError
from minidl.graph import Tensor, tensor

_GZIP_MAGIC = b"\x1f\x8b"
_IMAGES_AT_ONCE = 256


class ImageDataset(Dataset):
    """Images as uint8 of shape (samples, channels, height, width), and a class for each.

    The network receives float32 in [0, 1], or ``(image - mean) / std`` of that where given.

    Attributes
    ----------
    flat : bool
        Give the network vectors of shape (samples, channels * height * width).
    mean, std : tuple of float
        One for all channels, or one a channel, on the scale of [0, 1].
    normalize : bool
        Learn ``mean`` and ``std`` of each channel from the training part, and keep them with the
        run.
    shape : tuple of int
        Channels, height and width.
    levels : int
        The greatest value a pixel can have.
    names : tuple of str
        The classes, where they are always the same ones; then ``count`` samples train.
    """

    shape: ClassVar[tuple[int, int, int]]
    levels: ClassVar[int] = 255
    names: ClassVar[tuple[str, ...]] = ()
    count: ClassVar[int] = 0

    flat: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[Annotated[float, Gt(0)], ...] = ()
    normalize: bool = False

    _learnt: dict[str, list[float]] = field(default_factory=dict, init=False)

    def check_fields(self) -> None:
        if self.normalize and (self.mean or self.std):
            raise ValueError("normalize learns mean and std; leave them out")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.shape

    def outline(self) -> Splits | None:
        """Return shapes and classes where they are always the same and nothing is to be learnt."""
        if not self.names or self.normalize:
            return None
        images = LazyArray((self.count, *self.shape), "uint8")
        return Splits(Part(images, LazyArray((self.count,), "int64")), classes=self.names)

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Load and divide the images; with ``normalize``, learn from those that train.

        Raises
        ------
        DataError
            As :meth:`load` does, or if what is to be held out leaves nothing.
        """
        splits = super().splits(validation, seed)
        if self.normalize and not self._learnt:
            self._learnt = channel_statistics(splits.train, self.levels)
        return splits

    def state(self) -> dict[str, Any]:
        """Return the mean and deviation of each channel, if they were learnt."""
        return dict(self._learnt)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take mean and deviation in instead of learning them again."""
        channels = self.image_shape[0]
        values = [state.get("mean"), state.get("std")]
        if state.keys() != {"mean", "std"} or not all(
            isinstance(v, list) and len(v) == channels for v in values
        ):
            raise DataError(
                f"the stored state of the dataset is not a mean and std for {channels} channels"
            )
        self._learnt = dict(state)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the images as float32 in [0, 1], normalised and flattened as the fields say."""
        if self.normalize and not self._learnt:
            raise DataError(
                f"{self.label}: nothing is learnt to normalize by; load the splits first"
            )
        values = inputs.astype("float32") / float(self.levels)
        if self.mean or self._learnt:
            values = values - self._per_channel("mean")
        if self.std or self._learnt:
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
        values, channels = self._learnt.get(name) or getattr(self, name), self.image_shape[0]
        if len(values) not in (1, channels):
            raise ConfigError(
                f"dataset '{self.type_name}': {name} has {len(values)} values; "
                f"give one, or one for each of {channels} channels"
            )
        return tensor(np.reshape(np.array(values, np.float32), (1, -1, 1, 1)))

    def _fit(self, images: np.ndarray, path: str) -> np.ndarray:
        """Return ``images`` as (samples, channels, height, width) of uint8."""
        shape = self.image_shape
        fitting = {shape, (int(np.prod(shape)),), shape[1:] if shape[0] == 1 else shape}
        if images.shape not in fitting and images.shape[1:] not in fitting:
            raise DataError(
                f"{path}: holds images of shape {images.shape}; dataset '{self.type_name}' takes "
                f"{shape} each, in any number"
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
        return np.ascontiguousarray(images, np.uint8).reshape(-1, *shape)

    def _read_picture(self, path: Path) -> np.ndarray:
        """Return the picture in a file as a batch of one; override to take any size."""
        channels, height, width = self.image_shape
        pixels = read_picture(path, channels, "or give a .npy, .npz or IDX file")
        if pixels.shape[1:] != (height, width):
            raise DataError(
                f"{path}: is {pixels.shape[2]} x {pixels.shape[1]} pixels; dataset "
                f"'{self.type_name}' takes {width} x {height}; resize it first"
            )
        scaled = np.round(pixels * (self.levels / 255)).astype(np.uint8)
        return np.ascontiguousarray(scaled[np.newaxis])


def channel_statistics(part: Part, levels: int) -> dict[str, list[float]]:
    """Return mean and deviation of each channel of images, as if they were divided by ``levels``.

    They are exact, made of how often each of the 256 values occurs. Of a channel that is constant
    the deviation is given as 1.
    """
    counts = np.zeros((part.inputs.shape[1], 256), np.int64)
    for start in range(0, len(part), _IMAGES_AT_ONCE):
        images, _ = part.span(start, start + _IMAGES_AT_ONCE)
        for channel, count in enumerate(counts):
            count += np.bincount(images[:, channel].reshape(-1), minlength=256)
    values, shares = np.arange(256) / levels, counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    deviation = np.sqrt((shares * (values - mean[:, np.newaxis]) ** 2).sum(axis=1))
    deviation[deviation < 1e-9] = 1.0
    return {"mean": mean.tolist(), "std": deviation.tolist()}
