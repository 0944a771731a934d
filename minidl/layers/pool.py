"""Layers that take the greatest or the mean of windows, or of whole images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from minidl import ops
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.graph.spec import normalize_axis
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_float, check_images, check_numbers
from minidl.layers.conv import as_pair

Count = Annotated[int, Ge(1)]
Exponent = Annotated[float, Ge(1), Lt(math.inf)]
_MASK = Draw((2, 3), dtype="bool")


class Pool2d(Layer):
    """Base of pooling of images: windows and the steps between them."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    ceil_mode: bool = False

    def check_fields(self) -> None:
        check_numbers("kernel_size", self.kernel_size, 1)
        check_numbers("stride", self.stride, 1)
        check_numbers("padding", self.padding, 0)

    def build(self, x: Spec) -> None:
        check_images(x)


class Pool1d(Layer):
    """Base of pooling of sequences."""

    kernel_size: Count
    stride: Count | None = None
    padding: Annotated[int, Ge(0)] = 0
    ceil_mode: bool = False

    def build(self, x: Spec) -> None:
        check_images(x, 3)


@layer("max_pool1d")
class MaxPool1d(Pool1d):
    """Greatest element of each window of sequences, as in PyTorch.

    z_i = max over p of x[i · stride + p · dilation − padding]

    Of equal maxima the first receives the gradient.

    Input: float, shape (batch, channels, length).

    Attributes
    ----------
    kernel_size : int
        Elements in a window.
    stride : int, optional
        Steps between windows; default the size of a window.
    padding : int
        −∞ on each side.
    ceil_mode : bool
        Whether a last window that begins inside but does not fit counts too.
    dilation : int
        Steps within a window.
    """

    samples = (
        sample(Draw((2, 2, 7), distinct=True), kernel_size=2),
        sample(Draw((2, 2, 7), distinct=True), kernel_size=3, stride=1, padding=1, dilation=2),
    )

    dilation: Count = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool1d(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )


@layer("max_pool2d")
class MaxPool2d(Pool2d):
    """Greatest element of each window of images, as in PyTorch.

    z_ij = max over p and q of x[i · stride + p · dilation − padding, j · stride + …]

    Of equal maxima the first, row by row, receives the gradient.

    Input: float, shape (batch, channels, height, width).

    Attributes
    ----------
    kernel_size : int or [height, width]
        Size of a window.
    stride : int or [height, width], optional
        Steps between windows; default the size of a window.
    padding : int or [height, width]
        −∞ on each side.
    ceil_mode : bool
        Whether a last window that begins inside but does not fit counts too.
    dilation : int or [height, width]
        Steps within a window.
    """

    samples = (
        sample(Draw((2, 2, 4, 6), distinct=True), kernel_size=2),
        sample(Draw((2, 1, 5, 5), distinct=True), kernel_size=[3, 2], stride=2, padding=1),
        sample(Draw((1, 2, 5, 5), distinct=True), kernel_size=2, ceil_mode=True),
    )

    dilation: int | tuple[int, int] = 1

    def check_fields(self) -> None:
        super().check_fields()
        check_numbers("dilation", self.dilation, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )


@layer("avg_pool1d")
class AvgPool1d(Pool1d):
    """Mean of each window of sequences, as in PyTorch.

    z_i = mean over p of x[i · stride + p − padding]

    Input: float, shape (batch, channels, length).

    Attributes
    ----------
    kernel_size : int
        Elements in a window.
    stride : int, optional
        Steps between windows; default the size of a window.
    padding : int
        Zeros on each side.
    ceil_mode : bool
        Whether a last window that begins inside but does not fit counts too.
    count_include_pad : bool
        Whether padding counts as elements of the mean.
    """

    samples = (
        sample((2, 2, 7), kernel_size=2),
        sample((2, 2, 7), kernel_size=3, stride=2, padding=1, count_include_pad=False),
    )

    count_include_pad: bool = True

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool1d(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )


@layer("avg_pool2d")
class AvgPool2d(Pool2d):
    """Mean of each window of images, as in PyTorch.

    z_ij = mean over p and q of x[i · stride + p − padding, j · stride + q − padding]

    Input: float, shape (batch, channels, height, width).

    Attributes
    ----------
    kernel_size : int or [height, width]
        Size of a window.
    stride : int or [height, width], optional
        Steps between windows; default the size of a window.
    padding : int or [height, width]
        Zeros on each side.
    ceil_mode : bool
        Whether a last window that begins inside but does not fit counts too.
    count_include_pad : bool
        Whether padding counts as elements of the mean.
    """

    samples = (
        sample((2, 2, 4, 6), kernel_size=2),
        sample((2, 1, 5, 5), kernel_size=[3, 2], stride=2, padding=1, count_include_pad=False),
    )

    count_include_pad: bool = True

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )


@layer("lp_pool1d")
class LPPool1d(Pool1d):
    """The p-norm of each window of sequences, as in PyTorch.

    z_i = (Σ_q |x[i · stride + q − padding]|^p)^(1/p)

    See ``lp_pool2d``. Input: float, shape (batch, channels, length).

    Attributes
    ----------
    kernel_size, stride, padding, ceil_mode
        As for ``avg_pool1d``.
    norm_type : float
        The exponent p, at least 1.
    """

    samples = (
        sample((2, 2, 7), norm_type=2, kernel_size=3, stride=2),
        sample((2, 1, 6), norm_type=3.0, kernel_size=2, padding=1),
    )

    norm_type: Exponent = field(kw_only=True)

    def forward(self, x: Tensor) -> Tensor:
        return _norms(x, self, ops.avg_pool1d, self.kernel_size)


@layer("lp_pool2d")
class LPPool2d(Pool2d):
    """The p-norm of each window of images, as in PyTorch.

    z_ij = (Σ_qr |x[i · stride + q − padding, j · stride + r − padding]|^p)^(1/p)

    Where a window is all 0 the slope is taken to be 0. What ``ceil_mode`` adds to a window counts
    like the mean of the rest of it. PyTorch has x for |x|, which is the same for an even p.

    Input: float, shape (batch, channels, height, width).

    Attributes
    ----------
    kernel_size, stride, padding, ceil_mode
        As for ``avg_pool2d``.
    norm_type : float
        The exponent p, at least 1. With 1 it is the sum of sizes; the greater, the nearer to
        the greatest of them.
    """

    samples = (
        sample((2, 2, 4, 6), norm_type=2, kernel_size=2),
        sample((2, 1, 5, 5), norm_type=3.0, kernel_size=[3, 2], stride=2, padding=1),
        sample((1, 2, 5, 5), norm_type=4, kernel_size=2, ceil_mode=True),
    )

    norm_type: Exponent = field(kw_only=True)

    def forward(self, x: Tensor) -> Tensor:
        height, width = as_pair(self.kernel_size)
        return _norms(x, self, ops.avg_pool2d, height * width)


def _norms(
    x: Tensor, layer: LPPool1d | LPPool2d, average: Callable[..., Tensor], count: int
) -> Tensor:
    """Return the norm of each window of ``count`` elements; ``average`` gives means of windows."""
    means = average(
        abs(x) ** layer.norm_type,
        kernel_size=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        ceil_mode=layer.ceil_mode,
    )
    sums = means * float(count)
    positive = sums > 0
    return ops.where(positive, ops.where(positive, sums, 1.0) ** (1 / layer.norm_type), 0.0)


class AdaptivePool2d(Layer):
    """Base of pooling of images to a given size."""

    output_size: int | tuple[int | Literal["same"], int | Literal["same"]]

    def check_fields(self) -> None:
        check_numbers("output_size", self.output_size, 1)

    def build(self, x: Spec) -> None:
        check_images(x)

    @property
    def size(self) -> int | tuple[int | None, ...]:
        """The size of the output as ops take it."""
        if isinstance(self.output_size, int):
            return self.output_size
        return tuple(None if n == "same" else n for n in self.output_size)


class AdaptivePool1d(Layer):
    """Base of pooling of sequences to a given length."""

    output_size: Count

    def build(self, x: Spec) -> None:
        check_images(x, 3)


@layer("adaptive_avg_pool1d")
class AdaptiveAvgPool1d(AdaptivePool1d):
    """Means of windows, as many as asked for whatever the length of sequences; as in PyTorch.

    z_i = mean of x from ⌊i L / l⌋ to ⌈(i + 1) L / l⌉ − 1

    Input: float, shape (batch, channels, L). Output: (batch, channels, l).

    Attributes
    ----------
    output_size : int
        Length l of the output.
    """

    samples = (sample((2, 2, 7), output_size=3), sample((2, 2, 4), output_size=2))

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool1d(x, output_size=self.output_size)


@layer("adaptive_avg_pool2d")
class AdaptiveAvgPool2d(AdaptivePool2d):
    """Means of windows, as many as asked for whatever the size of the images; as in PyTorch.

    z_ij = mean of x over rows ⌊i H / h⌋ … ⌈(i + 1) H / h⌉ − 1 and columns likewise

    Input: float, shape (batch, channels, height, width). Output: (batch, channels, h, w).

    Attributes
    ----------
    output_size : int or [height, width]
        Size h x w of the output; "same" in place of one of two leaves it as it is (None in
        PyTorch).
    """

    samples = (
        sample((2, 2, 5, 7), output_size=[2, 3]),
        sample((2, 2, 4, 3), output_size=[2, "same"]),
    )

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool2d(x, output_size=self.size)


@layer("adaptive_max_pool1d")
class AdaptiveMaxPool1d(AdaptivePool1d):
    """Greatest elements of windows, as many as asked for; as in PyTorch.

    z_i = max of x from ⌊i L / l⌋ to ⌈(i + 1) L / l⌉ − 1

    Of equal maxima the first receives the gradient.

    Input: float, shape (batch, channels, L). Output: (batch, channels, l).

    Attributes
    ----------
    output_size : int
        Length l of the output.
    """

    samples = (
        sample(Draw((2, 2, 7), distinct=True), output_size=3),
        sample(Draw((2, 2, 4), distinct=True), output_size=2),
    )

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_max_pool1d(x, output_size=self.output_size)


@layer("adaptive_max_pool2d")
class AdaptiveMaxPool2d(AdaptivePool2d):
    """Greatest elements of windows, as many as asked for whatever the size; as in PyTorch.

    z_ij = max of x over rows ⌊i H / h⌋ … ⌈(i + 1) H / h⌉ − 1 and columns likewise

    Of equal maxima the first, row by row, receives the gradient.

    Input: float, shape (batch, channels, height, width). Output: (batch, channels, h, w).

    Attributes
    ----------
    output_size : int or [height, width]
        Size h x w of the output; "same" in place of one of two leaves it as it is (None in
        PyTorch).
    """

    samples = (
        sample(Draw((2, 2, 5, 7), distinct=True), output_size=[2, 3]),
        sample(Draw((2, 2, 4, 4), distinct=True), output_size=2),
    )

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_max_pool2d(x, output_size=self.size)


class GlobalPool(Layer):
    """Base of pooling over all places of images or sequences, of which some may be padding."""

    axis: int = 1
    keepdims: bool = False

    def build(self, x: Spec, padding: Spec | None = None) -> None:
        if x.ndim < 3:
            raise ShapeError(
                f"it takes images or sequences, of shape (batch, channels, ...), not {x.shape}"
            )
        check_float(x)
        axis = normalize_axis(self.axis, x.ndim)
        if axis == 0:
            raise ShapeError(f"axis {self.axis} is the batch; name that of the channels")
        if not all(x.shape[place] for place in self.places(x.ndim)):
            raise ShapeError(f"an input of shape {x.shape} has no places to pool over")
        if padding is None:
            return
        if padding.dtype != "bool":
            raise DtypeError(f"its second input is a padding mask (bool), not {padding.dtype}")
        places = x.shape[:axis] + x.shape[axis + 1 :]
        if padding.shape != places:
            raise ShapeError(
                f"the padding mask has shape {padding.shape}, but the input without axis "
                f"{self.axis}, its channels, has {places}"
            )

    def places(self, ndim: int) -> tuple[int, ...]:
        """Return the axes that are pooled over."""
        return tuple(axis for axis in range(1, ndim) if axis != normalize_axis(self.axis, ndim))

    def count(self, padding: Tensor, dtype: str) -> Tensor:
        """Return how many elements of each channel are not padding."""
        real = (~padding).astype(dtype)
        return ops.sum(real, axis=self.places(padding.ndim), keepdims=self.keepdims)


@layer("global_avg_pool")
class GlobalAvgPool(GlobalPool):
    """Mean over all places of each channel.

    z = mean of x over all axes but batch and channels

    Input: float, shape (batch, channels, ...). Behind it may stand a padding mask, bool of the
    same shape without channels, true where the input is padding, which then counts for nothing;
    a channel of nothing else becomes 0. Output: (batch, channels), ready for ``linear``.

    Sequences as recurrent layers and attention give them, (batch, time, features), are pooled
    over time with ``axis = -1``.

    Attributes
    ----------
    axis : int
        Where the channels stand.
    keepdims : bool
        Keep the other axes, with length 1.
    """

    samples = (
        sample((2, 3, 4, 5)),
        sample((2, 3, 4), keepdims=True),
        sample((2, 3, 4), _MASK, axis=-1),
    )

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        axes = self.places(x.ndim)
        if padding is None:
            return ops.mean(x, axis=axes, keepdims=self.keepdims)
        padding = ops.expand_dims(padding, axis=self.axis)
        total = ops.sum(ops.where(padding, 0.0, x), axis=axes, keepdims=self.keepdims)
        return total / ops.maximum(self.count(padding, x.dtype), 1.0)


@layer("global_max_pool")
class GlobalMaxPool(GlobalPool):
    """Greatest element of each channel.

    z = max of x over all axes but batch and channels

    Equal maxima share the gradient equally.

    Input: float, shape (batch, channels, ...), and a padding mask as for ``global_avg_pool``.
    Output: (batch, channels), ready for ``linear``.

    Attributes
    ----------
    axis, keepdims
        As for ``global_avg_pool``.
    """

    samples = (
        sample(Draw((2, 3, 4, 5), distinct=True)),
        sample(Draw((2, 3, 4), distinct=True), keepdims=True),
        sample(Draw((2, 3, 4), distinct=True), _MASK, axis=-1),
    )

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        axes = self.places(x.ndim)
        if padding is None:
            return ops.max(x, axis=axes, keepdims=self.keepdims)
        padding = ops.expand_dims(padding, axis=self.axis)
        z = ops.max(ops.where(padding, -math.inf, x), axis=axes, keepdims=self.keepdims)
        return ops.where(self.count(padding, x.dtype) == 0, 0.0, z)
