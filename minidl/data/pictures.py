"""Pictures in PNG and JPEG files: receives a path, returns pixels, with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from minidl.data.files import reading
from minidl.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
Fit = Literal["crop", "stretch"]

_DEEP = ("I", "F")
"""Pillow's names for pixels of more than 8 bits begin so."""


def read_picture(
    path: Path,
    channels: int,
    otherwise: str = "",
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
) -> np.ndarray:
    """Return the pixels of a picture, shape (channels, height, width) of uint8.

    It is turned as its EXIF data says.

    Parameters
    ----------
    channels : int
        1 for grey, 3 for colours; transparency is dropped.
    otherwise : str
        What a person without Pillow could do instead of installing it.
    size : tuple of int, optional
        Height and width to bring it to, by triangle filter. Default: its own.
    fit : {"crop", "stretch"}
        How: keep its proportions and cut off evenly what is too much, or do not keep them.

    Raises
    ------
    DataError
        If Pillow is missing, or the file is, or it is no picture, damaged, or of more than 8 bits
        a pixel and channel.
    """
    image, errors = _pillow(path, otherwise)
    from PIL import ImageOps

    with reading(path) as file:
        try:
            with image.open(file) as picture:
                _check_depth(picture, path)
                mode = "L" if channels == 1 else "RGB"
                if size is not None:
                    largest = max(size)
                    picture.draft(mode, (largest, largest))  # a JPEG can be decoded smaller
                pixels = ImageOps.exif_transpose(picture).convert(mode)
        except errors:
            raise DataError(f"{path}: {_unreadable(otherwise)}") from None
        except (SyntaxError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from None
    if size is not None:
        pixels = _resized(pixels, size, fit, image.Resampling.BILINEAR)
    array = np.asarray(pixels).reshape(pixels.height, pixels.width, channels)
    return array.transpose(2, 0, 1)


def check_picture(path: Path) -> None:
    """Raise DataError unless a file begins as a picture that can be read; decodes nothing."""
    image, errors = _pillow(path, "")
    with reading(path) as file:
        try:
            with image.open(file) as picture:
                _check_depth(picture, path)
        except errors:
            raise DataError(f"{path}: {_unreadable('')}") from None
        except (SyntaxError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from None


def _pillow(path: Path, otherwise: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        advice = f", {otherwise}" if otherwise else ""
        raise DataError(
            f"{path}: reading pictures needs Pillow; install it with "
            f"pip install 'minidl[data]'{advice}"
        ) from None
    return Image, (UnidentifiedImageError, Image.DecompressionBombError)


def _unreadable(otherwise: str) -> str:
    kinds = ".npy, .npz, IDX, PNG or JPEG" if otherwise else "PNG or JPEG"
    return f"not a {kinds} file that can be read"


def _check_depth(picture: Any, path: Path) -> None:
    if picture.mode.startswith(_DEEP):
        raise DataError(f"{path}: has more than 8 bits a pixel; save it with 8")


def _resized(picture: Any, size: tuple[int, int], fit: Fit, method: Any) -> Any:
    """Return ``picture`` in height and width ``size``."""
    height, width = size
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    if fit == "crop":
        scale = min(picture.width / width, picture.height / height)
        left = (picture.width - width * scale) / 2
        top = (picture.height - height * scale) / 2
        box = (left, top, picture.width - left, picture.height - top)
    return picture.resize((width, height), method, box)
