"""Layers that normalise: over the batch, the features, or groups of channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from minidl import ops
from minidl.errors import ShapeError
from minidl.graph import Spec, Tensor, sample
from minidl.layers.base import Context, Layer, layer
from minidl.layers.checks import check_float
from minidl.ops.norm import (
    affine,
    along_channels,
    by_groups,
    by_statistics,
    scale_to_one,
)

Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]


class RunningNorm(Layer):
    """What ``batch_norm`` and ``instance_norm`` share: they may keep running statistics."""

    eps: Positive = 1e-5
    momentum: Share = 0.1
    affine: bool = True
    track_running_stats: bool = True

    def axes(self, ndim: int) -> tuple[int, ...]:
        """Return what statistics are taken over, the last axes among them."""
        raise NotImplementedError

    def build(self, x: Spec) -> None:
        check_channels(x)
        if self.affine:
            declare_affine(self, x.shape[1:2])
        if self.track_running_stats:
            self.buffer("running_mean", x.shape[1:2])
            self.buffer("running_var", x.shape[1:2], "ones")

    def forward(
        self,
        x: Tensor,
        context: Context,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        **running: Tensor,
    ) -> Tensor:
        if running and not context.training:
            mean, var = running["running_mean"], running["running_var"]
            return by_statistics(x, mean, var, weight, bias, self.eps)
        if running:
            self._track(x, context, running)
        z = ops.standardize(x, axis=self.axes(x.ndim), eps=self.eps)
        return affine(z, weight, bias, along_channels(x))

    def share(self, context: Context, running: Mapping[str, Tensor]) -> Any:
        """Return what the new statistics count in the running ones."""
        return self.momentum

    def _track(self, x: Tensor, context: Context, running: Mapping[str, Tensor]) -> None:
        """Set the next running statistics."""
        axes = self.axes(x.ndim)
        count = math.prod(x.shape[axis] for axis in axes)
        if count < 2:
            whose, remedy = (
                ("a batch", "; choose a batch_size that leaves no single sample over")
                if 0 in axes
                else ("each sample of a batch", "")
            )
            raise ShapeError(
                f"in training it needs more than one value for each channel, and "
                f"{whose} of shape {x.shape} has {count}{remedy}"
            )
        # with the kept axes of the gradient's variance, so that it is computed once
        mean = ops.mean(x, axis=axes, keepdims=True)
        var = ops.var(x, axis=axes, keepdims=True)
        share = self.share(context, running)
        for name, new, factor in (
            ("running_mean", mean, 1.0),
            ("running_var", var, count / (count - 1)),
        ):
            rows = new.reshape(-1, x.shape[1])
            new = (ops.mean(rows, axis=0) if rows.shape[0] > 1 else rows[0]) * factor
            old = running[name]
            context.update(self, name, old + share * (new.astype(old.dtype) - old))


@layer("batch_norm")
class BatchNorm(RunningNorm):
    """Batch normalisation of each channel: BatchNorm1d, 2d and 3d of PyTorch.

    z = γ * (x − μ) / √(σ² + eps) + β

    In training μ and σ² are those of the batch, over all axes but the channels, and

    running_mean ← (1 − momentum) * running_mean + momentum * μ

    running_var ← (1 − momentum) * running_var + momentum * σ² * n / (n − 1)

    where n is the number of values behind each. Otherwise they are the running ones.

    Input: float, shape (N, C) or (N, C, ...). Parameters: ``weight`` γ and ``bias`` β of shape
    (C,). Buffers: ``running_mean`` and ``running_var`` of shape (C,). Ioffe and Szegedy, "Batch
    normalization", 2015.

    Attributes
    ----------
    eps : float
        Added to the variance.
    momentum : float or "cumulative"
        Share of the new statistics, as in PyTorch; "cumulative", which is None there, makes the
        running statistics the average of those of all batches.
    affine : bool
        Whether there are γ and β.
    track_running_stats : bool
        Whether running statistics are kept. Without them those of the batch are used outside
        training too.
    """

    samples = (
        sample((5, 3), eps=0.1),
        sample((3, 2, 4), affine=False, eps=0.1),
        sample((2, 3, 2, 2), momentum="cumulative", eps=0.1),
        sample((4, 3), track_running_stats=False, eps=0.1),
    )

    momentum: Share | Literal["cumulative"] = 0.1  # type: ignore[assignment]

    def axes(self, ndim: int) -> tuple[int, ...]:
        return tuple(axis for axis in range(ndim) if axis != 1)

    def build(self, x: Spec) -> None:
        super().build(x)
        if self.track_running_stats and self.momentum == "cumulative":
            self.buffer("num_batches_tracked", (), dtype="int64")

    def share(self, context: Context, running: Mapping[str, Tensor]) -> Any:
        if self.momentum != "cumulative":
            return self.momentum
        seen = running["num_batches_tracked"] + 1
        context.update(self, "num_batches_tracked", seen)
        return 1 / seen.astype(running["running_mean"].dtype)


@layer("layer_norm")
class LayerNorm(Layer):
    """Layer normalisation: of each sample over its last axes.

    z = γ * (x − μ) / √(σ² + eps) + β

    Input: float, shape (N, ..., *normalized_shape). Parameters: ``weight`` γ and ``bias`` β of
    shape normalized_shape. Ba, Kiros and Hinton, "Layer normalization", 2016.

    Attributes
    ----------
    normalized_shape : int or tuple of int, optional
        Lengths of the last axes, over which μ and σ² are taken; default the last one, whatever
        its length.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there are γ and β.
    bias : bool
        Whether there is β, if there is γ.
    """

    samples = (
        sample((3, 4), eps=0.1),
        sample((2, 3, 4), normalized_shape=[3, 4], bias=False),
        sample((2, 3, 4), normalized_shape=4, elementwise_affine=False),
    )

    normalized_shape: int | tuple[int, ...] | None = None
    eps: Positive = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def build(self, x: Spec) -> None:
        shape = last_axes(x, self.normalized_shape)
        if self.elementwise_affine:
            declare_affine(self, shape, bias=self.bias)

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        shape = last_axes(x.spec, self.normalized_shape)
        axes = tuple(range(x.ndim - len(shape), x.ndim))
        return affine(ops.standardize(x, axis=axes, eps=self.eps), weight, bias, shape)


@layer("rms_norm")
class RMSNorm(Layer):
    """Root mean square normalisation: ``layer_norm`` that subtracts and adds nothing.

    z = γ * x / √(mean(x²) + eps)

    Input: float, shape (N, ..., *normalized_shape). Parameter: ``weight`` γ of shape
    normalized_shape. Zhang and Sennrich, "Root mean square layer normalization", 2019.

    Attributes
    ----------
    normalized_shape : int or tuple of int, optional
        Lengths of the last axes, over which the mean is taken; default the last one, whatever
        its length.
    eps : float, optional
        Added to the mean square; default the distance from 1 to the next number of the dtype.
    elementwise_affine : bool
        Whether there is γ.
    """

    samples = (
        sample((3, 4)),
        sample((2, 3, 4), normalized_shape=[3, 4], eps=0.1, elementwise_affine=False),
    )

    normalized_shape: int | tuple[int, ...] | None = None
    eps: Positive | None = None
    elementwise_affine: bool = True

    def build(self, x: Spec) -> None:
        shape = last_axes(x, self.normalized_shape)
        if self.elementwise_affine:
            declare_affine(self, shape, bias=False)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        shape = last_axes(x.spec, self.normalized_shape)
        axes = tuple(range(x.ndim - len(shape), x.ndim))
        return affine(scale_to_one(x, axes, self.eps), weight, None, shape)


@layer("group_norm")
class GroupNorm(Layer):
    """Group normalisation: of each sample over groups of its channels.

    z = γ * (x − μ) / √(σ² + eps) + β

    Input: float, shape (N, C) or (N, C, ...). Parameters: ``weight`` γ and ``bias`` β of shape
    (C,). Wu and He, "Group normalization", 2018.

    Attributes
    ----------
    num_groups : int
        How many groups; it must divide the number of channels.
    eps : float
        Added to the variance.
    affine : bool
        Whether there are γ and β.
    """

    samples = (
        sample((2, 4, 3), num_groups=2, eps=0.1),
        sample((2, 6), num_groups=2, affine=False),
    )

    num_groups: Annotated[int, Ge(1)]
    eps: Positive = 1e-5
    affine: bool = True

    def build(self, x: Spec) -> None:
        check_channels(x)
        if self.affine:
            declare_affine(self, x.shape[1:2])

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        return affine(by_groups(x, self.num_groups, self.eps), weight, bias, along_channels(x))


@layer("instance_norm")
class InstanceNorm(RunningNorm):
    """Instance normalisation: of each channel of each sample.

    z = γ * (x − μ) / √(σ² + eps) + β

    μ and σ² are those over all axes behind the channels. With ``track_running_stats`` the running
    ones take their place outside training; they follow the mean over the batch of μ and of
    σ² * n / (n − 1), as in ``batch_norm``, where n is the number of values behind each.

    Input: float, shape (N, C, L, ...). Parameters, if ``affine``: ``weight`` γ and ``bias`` β of
    shape (C,). Buffers, if tracked: ``running_mean`` and ``running_var`` of shape (C,). Ulyanov,
    Vedaldi and Lempitsky, "Instance normalization", 2016.

    Attributes
    ----------
    eps : float
        Added to the variance.
    momentum : float
        Share of the new statistics in the running ones.
    affine : bool
        Whether there are γ and β.
    track_running_stats : bool
        Whether running statistics are kept, and used outside training.
    """

    samples = (
        sample((2, 3, 4), eps=0.1),
        sample((2, 3, 2, 2), affine=True),
        sample((3, 2, 3), track_running_stats=True, momentum=0.3, eps=0.1),
    )

    affine: bool = False
    track_running_stats: bool = False

    def axes(self, ndim: int) -> tuple[int, ...]:
        return tuple(range(2, ndim))

    def build(self, x: Spec) -> None:
        super().build(x)
        if x.ndim < 3:
            raise ShapeError(f"it takes a batch of shape (N, C, L, …), not {x.shape}")
        if math.prod(x.shape[2:]) == 1 and not self.track_running_stats:
            raise ShapeError(
                f"each channel of a sample of shape {x.shape[1:]} is one value, of which nothing "
                f"is left when the mean is subtracted"
            )


def declare_affine(owner: Layer, shape: tuple[int, ...], bias: bool = True) -> None:
    """Declare a weight γ that starts at 1 and, unless without ``bias``, a bias β at 0."""
    owner.parameter("weight", shape, "ones", symbol="γ")
    if bias:
        owner.parameter("bias", shape, "zeros", symbol="β")


def check_channels(x: Spec) -> None:
    """Raise unless ``x`` is a batch of floats with a channel axis."""
    check_float(x)
    if x.ndim < 2:
        raise ShapeError(f"it takes a batch of shape (N, C, …), not {x.shape}")


def last_axes(x: Spec, wanted: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of the last axes of ``x``, which must be the one that is ``wanted``."""
    check_float(x)
    if wanted == ():
        raise ShapeError("normalized_shape is [], which names no axis to normalise over")
    shape = (wanted,) if isinstance(wanted, int) else wanted or x.shape[-1:]
    count = max(len(shape), 1)
    if x.ndim <= count:
        axes = "1 more axis" if count == 1 else f"{count} more axes"
        raise ShapeError(f"it takes a batch with {axes} to normalise over, not shape {x.shape}")
    found = x.shape[x.ndim - len(shape) :]
    if found != shape:
        raise ShapeError(
            f"normalized_shape is {list(shape)}, but the last axes of {x.shape} are {list(found)}"
        )
    return shape
