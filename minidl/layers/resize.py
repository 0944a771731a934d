"""Layers that give images and sequences another size: upsampling and borders."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_float, check_numbers
from minidl.layers.conv import bordered


@layer("upsample")
class Upsample(Layer):
    """Images, or sequences, made larger (or smaller), as in PyTorch.

    z_ij = x[⌊i · H / h⌋, ⌊j · W / w⌋]   (nearest)

    "bilinear" weighs the four elements around a place instead. Input: float, shape (batch,
    channels, height, width); for "nearest" also (batch, channels, length).

    Attributes
    ----------
    scale_factor : float or [height, width], optional
        By how much sizes grow; they are rounded down.
    size : int or [height, width], optional
        Size of the output; in place of ``scale_factor``.
    mode : "nearest" or "bilinear"
        How new elements are made.
    align_corners : bool
        For "bilinear", whether corner elements stay at the corners.
    """

    samples = (
        sample((2, 2, 2, 3), scale_factor=2),
        sample((1, 2, 3, 4), size=[5, 2], mode="bilinear"),
        sample((1, 2, 3, 4), scale_factor=[2, 1.5], mode="bilinear", align_corners=True),
        sample((1, 2, 3), size=7),
    )

    scale_factor: float | tuple[float, float] | None = None
    size: int | tuple[int, int] | None = None
    mode: Literal["nearest", "bilinear"] = "nearest"
    align_corners: bool = False

    def check_fields(self) -> None:
        if (self.scale_factor is None) == (self.size is None):
            raise ValueError("it takes one of scale_factor and size")
        if self.align_corners and self.mode != "bilinear":
            raise ValueError("align_corners: corners are aligned in mode 'bilinear' alone")
        check_numbers("size", self.size, 1)
        given = self.scale_factor if isinstance(self.scale_factor, tuple) else [self.scale_factor]
        if any(scale is not None and not 0 < scale < float("inf") for scale in given):
            raise ValueError(f"scale_factor: it is greater than 0, got {self.scale_factor}")

    def build(self, x: Spec) -> None:
        check_float(x)

    def forward(self, x: Tensor) -> Tensor:
        return ops.interpolate(
            x,
            size=self.size,
            scale_factor=self.scale_factor,
            mode=self.mode,
            align_corners=self.align_corners,
        )


@layer("pad")
class Pad(Layer):
    """A border around images or sequences, as PyTorch's ``pad``.

    z_ij = x[i − top, j − left],  and the border at all other places

    Input: float, shape (batch, channels, height, width) or (batch, channels, length).

    Attributes
    ----------
    padding : int or [left, right] or [left, right, top, bottom]
        How wide the border is: on all sides, or in PyTorch's order, the last axis first.
    mode : {"constant", "reflect", "replicate", "circular"}
        What it holds: ``value``, the image mirrored at its edge, its edge, or its other end.
    value : float
        For "constant".
    """

    samples = (
        sample((2, 2, 3, 4), padding=1),
        sample((2, 2, 3, 4), padding=[1, 0, 2, 1], value=0.5),
        sample((2, 2, 3, 4), padding=[1, 2], mode="reflect"),
        sample((2, 2, 4), padding=[0, 2], mode="replicate"),
        sample((1, 2, 2, 3), padding=2, mode="circular"),
    )

    padding: int | tuple[int, ...]
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: float = 0.0

    def check_fields(self) -> None:
        check_numbers("padding", self.padding, 0)
        if isinstance(self.padding, tuple) and len(self.padding) not in (2, 4):
            raise ValueError(f"padding: it is one number, 2 or 4 of them, got {list(self.padding)}")
        if self.value and self.mode != "constant":
            raise ValueError("value: the border has one in mode 'constant' alone")

    def build(self, x: Spec) -> None:
        if x.ndim not in (3, 4):
            raise ShapeError(
                f"it takes images or sequences, of shape (batch, channels, height, width) or "
                f"(batch, channels, length), not {x.shape}"
            )
        if isinstance(self.padding, tuple) and len(self.padding) > 2 * (x.ndim - 2):
            raise ShapeError(f"sequences have 2 sides, and padding gives {len(self.padding)}")
        check_float(x)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.padding, int):
            sides = [(self.padding, self.padding)] * (x.ndim - 2)
        else:
            sides = list(pairwise(self.padding))[::2][::-1]
        return bordered(x, sides, self.mode, self.value)
