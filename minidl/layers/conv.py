"""Convolutions of sequences and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge

from minidl import ops
from minidl.component import make
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.initializers import Initializer
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_images, check_numbers
from minidl.ops.conv import padding_pairs

Count = Annotated[int, Ge(1)]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Sides = int | tuple[int | tuple[int, int], ...] | Literal["same", "valid"]


class Convolution(Layer):
    """Base of the convolutions: what they share in fields and parameters."""

    out_channels: Count
    groups: Count = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    init: Initializer = field(
        default_factory=partial(make, "initializer", "glorot_uniform"), kw_only=True
    )
    bias_init: Initializer = field(
        default_factory=partial(make, "initializer", "zeros"), kw_only=True
    )

    def declare(self, weight: tuple[int, ...]) -> None:
        """Declare the weight, of this shape, and the bias."""
        self.parameter("weight", weight, self.init, symbol="W")
        if self.bias:
            self.parameter("bias", (self.out_channels,), self.bias_init, symbol="b")

    def check_groups(self, channels: int) -> None:
        """Raise ShapeError unless the channels in and out fall into groups."""
        if channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"groups = {self.groups} must divide the channels in and out, "
                f"{channels} and {self.out_channels}"
            )


@layer("conv1d")
class Conv1d(Convolution):
    """Convolution of sequences, as in PyTorch.

    z = conv1d(x, W) + b

    Input: float, shape (batch, channels, length). Output: shape (batch, out_channels, length of
    the result). Parameters: ``weight`` W of shape (out_channels, channels / groups, kernel_size),
    ``bias`` b of shape (out_channels,).

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    kernel_size : int
        Elements in a window.
    stride : int
        Steps between windows.
    padding : int, [[before, after]], "same" or "valid"
        Elements around each sequence; "same" keeps the length, for a stride of 1. With
        [[kernel_size − 1, 0]] no step sees a later one.
    dilation : int
        Steps within a window.
    groups : int
        Into how many groups the channels fall; each group of outputs sees its group of inputs.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What padding holds: zeros, the sequence mirrored at its edge, its edge, or its other end.
    bias : bool
        Whether b is added.
    init, bias_init : Initializer
        First values of weight and bias; default ``glorot_uniform`` and ``zeros``.
    """

    samples = (
        sample((2, 3, 6), out_channels=2, kernel_size=3),
        sample((2, 2, 5), out_channels=4, kernel_size=3, padding="same", groups=2, bias=False),
        sample((2, 2, 6), out_channels=1, kernel_size=2, stride=2, padding=[[1, 0]], dilation=2),
        sample((2, 2, 4), out_channels=2, kernel_size=3, padding=2, padding_mode="circular"),
    )

    kernel_size: Count
    stride: Count = 1
    padding: Sides = 0
    dilation: Count = 1
    padding_mode: PaddingMode = field(default="zeros", kw_only=True)

    def check_fields(self) -> None:
        check_padding(self.padding, 1)

    def build(self, x: Spec) -> None:
        check_images(x, 3)
        self.check_groups(x.shape[1])
        self.declare((self.out_channels, x.shape[1] // self.groups, self.kernel_size))

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            steps = ((each,) for each in (self.kernel_size, self.stride, self.dilation))
            x, padding = bordered(x, padding_pairs(padding, *steps), self.padding_mode), 0
        z = ops.conv1d(
            x,
            weight,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return z if bias is None else z + bias.reshape(-1, 1)


@layer("conv2d")
class Conv2d(Convolution):
    """Convolution of images, as in PyTorch.

    z = conv2d(x, W) + b

    ∂L/∂x = conv_transpose2d(∂L/∂z, W),  ∂L/∂b = Σ ∂L/∂z over samples and places

    Input: float, shape (batch, channels, height, width). Output: shape (batch, out_channels,
    height and width of the result). Parameters: ``weight`` W of shape (out_channels,
    channels / groups, kernel height, kernel width), ``bias`` b of shape (out_channels,).

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    kernel_size : int or [height, width]
        Size of a window.
    stride : int or [height, width]
        Steps between windows.
    padding : int, [height, width], [[top, bottom], [left, right]], "same" or "valid"
        Elements on each side of the image; "same" keeps the size, for a stride of 1.
    dilation : int or [height, width]
        Steps within a window.
    groups : int
        Into how many groups the channels fall; each group of outputs sees its group of inputs.
        With as many groups as channels it is a depthwise convolution.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What padding holds: zeros, the image mirrored at its edge, its edge, or its other end.
    bias : bool
        Whether b is added.
    init, bias_init : Initializer
        First values of weight and bias; default ``glorot_uniform`` and ``zeros``.
    """

    samples = (
        sample((2, 3, 4, 5), out_channels=2, kernel_size=3),
        sample((2, 2, 4, 4), out_channels=3, kernel_size=[3, 2], padding="same", bias=False),
        sample((2, 2, 5, 4), out_channels=4, kernel_size=2, stride=2, padding=[1, 0], groups=2),
        sample((1, 2, 3, 4), out_channels=2, kernel_size=3, padding=1, padding_mode="reflect"),
    )

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: Sides = 0
    dilation: int | tuple[int, int] = 1
    padding_mode: PaddingMode = field(default="zeros", kw_only=True)

    def check_fields(self) -> None:
        check_numbers("kernel_size", self.kernel_size, 1)
        check_numbers("stride", self.stride, 1)
        check_padding(self.padding, 2)
        check_numbers("dilation", self.dilation, 1)

    def build(self, x: Spec) -> None:
        check_images(x)
        self.check_groups(x.shape[1])
        kernel = as_pair(self.kernel_size)
        self.declare((self.out_channels, x.shape[1] // self.groups, *kernel))

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            steps = (as_pair(each) for each in (self.kernel_size, self.stride, self.dilation))
            x, padding = bordered(x, padding_pairs(padding, *steps), self.padding_mode), 0
        z = ops.conv2d(
            x,
            weight,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return z if bias is None else z + bias.reshape(-1, 1, 1)


@layer("conv_transpose1d")
class ConvTranspose1d(Convolution):
    """Transposed convolution of sequences, as in PyTorch: it makes them longer.

    z = conv_transpose1d(x, W) + b

    Input: float, shape (batch, channels, length). Output: shape (batch, out_channels, length of
    the result), which is (n − 1) · stride − 2 · padding + dilation · (kernel − 1) +
    output_padding + 1. Parameters: ``weight`` W of shape (channels, out_channels / groups,
    kernel_size), ``bias`` b of shape (out_channels,).

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    kernel_size : int
        Elements in a window of the output.
    stride : int
        Steps between windows: by how much the sequence grows.
    padding : int
        What is cut from each end of the output.
    output_padding : int
        Elements that the output has more at its end, less than stride or dilation.
    dilation : int
        Steps within a window.
    groups, bias, init, bias_init
        As for ``conv1d``.
    """

    samples = (
        sample((2, 3, 4), out_channels=2, kernel_size=3, stride=2, padding=1, output_padding=1),
        sample((2, 4, 3), out_channels=2, kernel_size=2, dilation=2, groups=2, bias=False),
    )

    kernel_size: Count
    stride: Count = 1
    padding: Annotated[int, Ge(0)] = 0
    output_padding: Annotated[int, Ge(0)] = 0
    dilation: Count = 1

    def build(self, x: Spec) -> None:
        check_images(x, 3)
        self.check_groups(x.shape[1])
        self.declare((x.shape[1], self.out_channels // self.groups, self.kernel_size))

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = ops.conv_transpose1d(
            x,
            weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return z if bias is None else z + bias.reshape(-1, 1)


@layer("conv_transpose2d")
class ConvTranspose2d(Convolution):
    """Transposed convolution of images, as in PyTorch: it makes them larger.

    z = conv_transpose2d(x, W) + b

    ∂L/∂x = conv2d(∂L/∂z, W),  ∂L/∂b = Σ ∂L/∂z over samples and places

    Input: float, shape (batch, channels, height, width). Output: shape (batch, out_channels,
    height and width of the result), each (n − 1) · stride − 2 · padding + dilation ·
    (kernel − 1) + output_padding + 1. Parameters: ``weight`` W of shape (channels,
    out_channels / groups, kernel height, kernel width), ``bias`` b of shape (out_channels,).

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    kernel_size : int or [height, width]
        Size of a window of the output.
    stride : int or [height, width]
        Steps between windows: by how much the image grows.
    padding : int or [height, width]
        What is cut from each side of the output.
    output_padding : int or [height, width]
        Rows and columns that the output has more at its end, less than stride or dilation.
    dilation : int or [height, width]
        Steps within a window.
    groups, bias, init, bias_init
        As for ``conv2d``.
    """

    samples = (
        sample((2, 3, 2, 3), out_channels=2, kernel_size=3),
        sample((2, 2, 3, 2), out_channels=2, kernel_size=[3, 2], stride=2, bias=False),
        sample(
            (1, 2, 2, 3), out_channels=4, kernel_size=3, stride=2, padding=1, output_padding=1,
            groups=2,
        ),
    )  # fmt: skip

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    output_padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1

    def check_fields(self) -> None:
        check_numbers("kernel_size", self.kernel_size, 1)
        check_numbers("stride", self.stride, 1)
        check_numbers("padding", self.padding, 0)
        check_numbers("output_padding", self.output_padding, 0)
        check_numbers("dilation", self.dilation, 1)

    def build(self, x: Spec) -> None:
        check_images(x)
        self.check_groups(x.shape[1])
        kernel = as_pair(self.kernel_size)
        self.declare((x.shape[1], self.out_channels // self.groups, *kernel))

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = ops.conv_transpose2d(
            x,
            weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return z if bias is None else z + bias.reshape(-1, 1, 1)


def bordered(x: Tensor, sides: Sequence[tuple[int, int]], mode: str, value: float = 0.0) -> Tensor:
    """Return images or sequences with a border; ``sides`` are (before, after) of their last axes.

    ``mode`` is "constant", for ``value``, or what ``padding_mode`` of ``conv2d`` may be.
    """
    width = ((0, 0),) * (x.ndim - len(sides)) + tuple(sides)
    if mode == "constant":
        return ops.pad(x, pad_width=width, value=value)
    border = {
        "reflect": ops.pad_reflect,
        "replicate": ops.pad_replicate,
        "circular": ops.pad_circular,
    }[mode]
    return border(x, pad_width=width)


def check_padding(padding: Sides, axes: int) -> None:
    """Raise ValueError unless there is a number from 0 on, or one or two for each axis."""
    check_numbers("padding", padding, 0)
    if isinstance(padding, tuple) and len(padding) != axes:
        raise ValueError(f"padding: it is {_SIDES[axes]}, got {list(padding)}")


_SIDES = {
    1: "a number or [[before, after]] for the one axis of a sequence",
    2: "a number, [height, width] or [[top, bottom], [left, right]]",
}


def as_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return one number for both axes as two."""
    return (value, value) if isinstance(value, int) else value
