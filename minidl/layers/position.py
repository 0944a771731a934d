"""Layers that tell a network where in a sequence it is, and where sequences end."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from minidl import ops
from minidl.component import make
from minidl.errors import DtypeError, ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.graph.spec import holds, is_float
from minidl.initializers import Initializer
from minidl.layers.base import Layer, layer
from minidl.layers.checks import check_padding_mask, check_sequence


@layer("positional_embedding")
class PositionalEmbedding(Layer):
    """Add a learned vector for each position.

    z[n, t] = x[n, t] + W[t];    ∂L/∂W[t] = Σ ∂L/∂z[n, t] over samples n

    Input and output: float, shape (batch, time, width). Parameter: ``weight`` W of shape
    (max_length, width), of which a shorter sequence uses the first rows.

    Attributes
    ----------
    max_length : int
        The longest sequence there may be.
    init : Initializer
        First values of the vectors; default normal with standard deviation 0.02, as in GPT-2.
    """

    samples = (sample((2, 3, 4), max_length=3), sample((2, 2, 3), max_length=5))

    max_length: Annotated[int, Ge(1)]
    init: Initializer = field(
        default_factory=partial(make, "initializer", {"type": "normal", "mean": 0.0, "std": 0.02})
    )

    def build(self, x: Spec) -> None:
        check_sequence(x)
        if x.shape[1] > self.max_length:
            raise ShapeError(
                f"a sequence of {x.shape[1]} steps is longer than max_length = {self.max_length}"
            )
        self.parameter("weight", (self.max_length, x.shape[2]), self.init, symbol="W")

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return x + weight[: x.shape[1]]


@layer("sinusoidal_embedding")
class SinusoidalEmbedding(Layer):
    """Add a fixed vector of sines and cosines for each position.

    z[n, t] = x[n, t] + p[t], where p[t, 2i] = sin(t · base^(−2i/d)), p[t, 2i + 1] = cos(the same)

    Input and output: float, shape (batch, time, d), of any length. Vaswani et al., "Attention is
    all you need", NeurIPS 2017.

    Attributes
    ----------
    base : float
        What the longest period grows with.
    """

    samples = (sample((2, 3, 4)), sample((2, 5, 3), base=100.0))

    base: Annotated[float, Gt(1)] = 10000.0

    def build(self, x: Spec) -> None:
        check_sequence(x)

    def forward(self, x: Tensor) -> Tensor:
        _, length, width = x.shape
        return x + ops.sinusoidal_positions(
            length=length, width=width, base=self.base, dtype=x.dtype
        )


@layer("padding_mask")
class PaddingMask(Layer):
    """Tell where sequences are padded: true where the input is the padding value.

    What attention and recurrent layers take as their last input, so that they pass over it. It
    means what ``key_padding_mask`` means in PyTorch.

    Input: shape (batch, time), of indices, or (batch, time, features), of which a step is padding
    if all its features are the value. Output: bool, shape (batch, time).

    Attributes
    ----------
    value : float
        What fills up sequences that are shorter than others.
    """

    samples = (
        sample(Draw((3, 4), 0, 3, dtype="int64")),
        sample(Draw((2, 3, 2), 0, 2, dtype="int32"), value=1),
    )

    value: float = 0.0

    def build(self, x: Spec) -> None:
        if x.ndim not in (2, 3):
            raise ShapeError(
                f"it takes sequences, of shape (batch, time) or (batch, time, features), "
                f"not {x.shape}"
            )
        if not is_float(x.dtype) and not holds(x.dtype, self.value):
            raise DtypeError(f"value = {self.value} cannot occur in {x.dtype}")

    def forward(self, x: Tensor) -> Tensor:
        same = x == (self.value if is_float(x.dtype) else int(self.value))
        return same if same.ndim == 2 else same.astype("int64").sum(axis=-1) == same.shape[2]


@layer("blank_padding")
class BlankPadding(Layer):
    """Say nothing where sequences are padded: blank is certain there, for the loss ``ctc``.

    Such steps add nothing to a labelling and cost nothing, so the loss, the best path and the
    label error rate are those of the sequences without their padding.

    Inputs: logits, shape (batch, time, classes), and a padding mask, bool of shape (batch, time),
    as of ``padding_mask``. Output: logits, which are 0 for blank and -10,000 for other classes
    where there is padding.

    Attributes
    ----------
    blank : int
        The class that stands for nothing, as in the loss.
    """

    samples = (
        sample((2, 3, 4), Draw((2, 3), dtype="bool")),
        sample((2, 3, 4), Draw((2, 3), dtype="bool"), blank=3),
    )

    blank: Annotated[int, Ge(0)] = 0

    def build(self, x: Spec, padding: Spec) -> None:
        check_sequence(x)
        if padding.dtype != "bool":
            raise DtypeError(f"its second input is a padding mask (bool), not {padding.dtype}")
        check_padding_mask(padding, x)
        if self.blank >= x.shape[2]:
            raise ShapeError(f"blank is {self.blank}, but there are {x.shape[2]} classes")

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        certain = ops.where(ops.arange(x.shape[2]) == self.blank, 0.0, -1e4).astype(x.dtype)
        return ops.where(ops.expand_dims(padding, axis=2), certain, x)
