"""The block that transformers are made of."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from minidl.component import make
from minidl.errors import ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.initializers import Initializer
from minidl.layers.base import Context, Layer, layer
from minidl.layers.position import check_sequence


@layer("transformer_block")
class TransformerBlock(Layer):
    """Attention between steps, then a small network on each step, both around a short cut.

    With ``pre_norm``:  a = x + attention(norm_1(x));  z = a + mlp(norm_2(a))

    Without it:         a = norm_1(x + attention(x));  z = norm_2(a + mlp(a))

    where mlp(a) = W_2 @ activation(W_1 @ a + b_1) + b_2. Pre-norm trains without warm-up (Xiong
    et al., "On layer normalization in the transformer architecture", 2020), and a model of such
    blocks ends in one more norm; post-norm is that of Vaswani et al. 2017. Parts and parameters
    are called as in PyTorch's ``TransformerEncoderLayer``: ``self_attn``, ``linear1``,
    ``linear2``, ``norm1``, ``norm2``.

    Inputs: a sequence, float of shape (batch, time, width), and, if some of it is padding, a mask
    as ``multi_head_attention`` takes it. Output: the shape of the sequence.

    Attributes
    ----------
    num_heads : int
        Heads of the attention; must divide the width.
    mlp_ratio : float
        Width inside the mlp, as a multiple of the block's.
    activation : Layer
        Between the linear maps of the mlp. One that halves the width (``glu``, ``swiglu``) is
        followed by as much narrower a second map.
    pre_norm : bool
        Whether norms stand before attention and mlp, or behind.
    causal : bool
        Whether a step may look at itself and earlier ones alone.
    dropout : float
        Probability in training, on the weights of the attention, inside the mlp, and on what each
        of the two adds.
    bias : bool
        Whether linear maps add a bias.
    norm : Layer
        What both norms are.
    rotary : bool
        Whether attention turns queries and keys by their position.
    init : Initializer
        First values of the weights of the linear maps.
    """

    samples = (
        sample((2, 3, 4), num_heads=2, mlp_ratio=1.5),
        sample((2, 3, 4), num_heads=1, causal=True, bias=False, activation="tanh", rotary=True),
        sample((2, 2, 2), Draw((2, 2), dtype="bool"), num_heads=1, pre_norm=False, dropout=0.2),
    )

    num_heads: Annotated[int, Ge(1)]
    mlp_ratio: Annotated[float, Gt(0)] = 4.0
    activation: Layer = field(default_factory=partial(make, "layer", "gelu"))
    pre_norm: bool = True
    causal: bool = False
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    bias: bool = True
    norm: Layer = field(default_factory=partial(make, "layer", "layer_norm"))
    rotary: bool = False
    init: Initializer = field(default_factory=partial(make, "initializer", "glorot_uniform"))

    def build(self, x: Spec, *mask: Spec) -> None:
        check_sequence(x)
        attention = {
            "type": "multi_head_attention",
            "num_heads": self.num_heads,
            "causal": self.causal,
            "dropout": self.dropout,
            "bias": self.bias,
            "rotary": self.rotary,
            "init": self.init,
        }
        self.child("self_attn", make("layer", attention), x, *mask)
        inner = self.child("linear1", self._linear(round(self.mlp_ratio * x.shape[2])), x)
        inner = self.child("activation", self.activation.copy(), inner)
        self.child("linear2", self._linear(x.shape[2]), inner)
        for number in (1, 2):
            if self.child(f"norm{number}", self.norm.copy(), x) != x:
                raise ShapeError(f"the norm '{self.norm.type_name}' changes the shape")
        if self.dropout:
            for name, spec in (("dropout", inner), ("dropout1", x), ("dropout2", x)):
                self.child(name, make("layer", {"type": "dropout", "p": self.dropout}), spec)

    def forward(self, x: Tensor, *mask: Tensor, context: Context) -> Tensor:
        parts = {name: partial(part, context=context) for name, part in self.children.items()}
        dropout, dropout1, dropout2 = (
            parts.get(name, _unchanged) for name in ("dropout", "dropout1", "dropout2")
        )

        def attend(x: Tensor) -> Tensor:
            return dropout1(parts["self_attn"](x, *mask))

        def mlp(x: Tensor) -> Tensor:
            return dropout2(parts["linear2"](dropout(parts["activation"](parts["linear1"](x)))))

        if self.pre_norm:
            a = x + attend(parts["norm1"](x))
            return a + mlp(parts["norm2"](a))
        a = parts["norm1"](x + attend(x))
        return parts["norm2"](a + mlp(a))

    def _linear(self, units: int) -> Layer:
        return make(
            "layer",
            {"type": "linear", "units": max(units, 1), "bias": self.bias, "init": self.init},
        )


def _unchanged(x: Tensor) -> Tensor:
    return x
