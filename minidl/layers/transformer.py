"""The blocks that transformers are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.initializers import Initializer
from minidl.layers.attention import check_heads
from minidl.layers.base import Context, Layer, layer
from minidl.layers.checks import check_sequence

_MASK = Draw((2, 3), dtype="bool")

Part = Callable[[Tensor], Tensor]


class Transformer(Layer):
    """What the blocks share: fields, the small network on each step, norms and short cuts."""

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
    num_kv_heads: Annotated[int, Ge(1)] | None = None

    def check_fields(self) -> None:
        check_heads(self.num_heads, self.num_kv_heads)

    def attention(self, name: str, *inputs: Spec, **options: Any) -> None:
        """Take in an attention as a child called ``name``."""
        table = {
            "type": "multi_head_attention",
            "num_heads": self.num_heads,
            "num_kv_heads": self.num_kv_heads,
            "dropout": self.dropout,
            "bias": self.bias,
            "init": self.init,
            **options,
        }
        self.child(name, make("layer", table), *inputs)

    def around(self, x: Spec, parts: int) -> None:
        """Take in the mlp, and a norm and a dropout for each of ``parts``."""
        inner = self.child("linear1", self._linear(round(self.mlp_ratio * x.shape[2])), x)
        inner = self.child("activation", self.activation.copy(), inner)
        if self.child("linear2", self._linear(x.shape[2]), inner) != x:
            raise ShapeError(
                f"the activation '{self.activation.type_name}' gives {inner}, which does not lead "
                f"back to {x}"
            )
        for number in range(1, parts + 1):
            if self.child(f"norm{number}", self.norm.copy(), x) != x:
                raise ShapeError(f"the norm '{self.norm.type_name}' changes the shape")
        if self.dropout:
            places = [("dropout", inner), *((f"dropout{i + 1}", x) for i in range(parts))]
            for name, spec in places:
                self.child(name, make("layer", {"type": "dropout", "p": self.dropout}), spec)

    def run(self, x: Tensor, context: Context, *parts: Part) -> Tensor:
        """Apply ``parts`` and then the mlp, each with its norm and around it a short cut."""
        held = {name: partial(part, context=context) for name, part in self.children.items()}

        def mlp(x: Tensor) -> Tensor:
            inner = held["activation"](held["linear1"](x))
            return held["linear2"](held.get("dropout", _unchanged)(inner))

        for number, part in enumerate([*parts, mlp], 1):
            norm, dropout = held[f"norm{number}"], held.get(f"dropout{number}", _unchanged)
            x = x + dropout(part(norm(x))) if self.pre_norm else norm(x + dropout(part(x)))
        return x

    def _linear(self, units: int) -> Layer:
        return make(
            "layer",
            {"type": "linear", "units": max(units, 1), "bias": self.bias, "init": self.init},
        )


@layer("transformer_block")
class TransformerBlock(Transformer):
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
    num_kv_heads : int, optional
        As for ``multi_head_attention``.
    """

    samples = (
        sample((2, 3, 4), num_heads=2, mlp_ratio=1.5),
        sample((2, 3, 4), num_heads=1, causal=True, bias=False, activation="tanh", rotary=True),
        sample((2, 2, 2), Draw((2, 2), dtype="bool"), num_heads=1, pre_norm=False, dropout=0.2),
    )

    def build(self, x: Spec, *mask: Spec) -> None:
        check_sequence(x)
        for other in mask:
            if other.dtype != "bool":
                raise DtypeError(
                    f"behind the sequence it takes a padding mask (bool), not {other.dtype}; a "
                    f"memory is what 'transformer_decoder_block' takes"
                )
        self.attention("self_attn", x, *mask, causal=self.causal, rotary=self.rotary)
        self.around(x, 2)

    def forward(self, x: Tensor, *mask: Tensor, context: Context) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.children["self_attn"](x, *mask, context=context)

        return self.run(x, context, attend)


@layer("transformer_decoder_block")
class TransformerDecoderBlock(Transformer):
    """A ``transformer_block`` that looks at a second sequence too, what an encoder made: a memory.

    With ``pre_norm``:  a = x + attention(norm_1(x)); b = a + attention(norm_2(a), memory);
    z = b + mlp(norm_3(b)).  Without it each norm stands behind the sum: a = norm_1(x +
    attention(x)), and so on.

    Parts and parameters are called as in PyTorch's ``TransformerDecoderLayer``: ``self_attn``,
    ``multihead_attn``, ``linear1``, ``linear2``, ``norm1``, ``norm2``, ``norm3``. Vaswani et al.,
    "Attention is all you need", NeurIPS 2017.

    Inputs: the sequence, float of shape (batch, time, width), and the memory, (batch, time of the
    memory, its width). Behind each may stand its padding mask, bool of shape (batch, time), as
    ``multi_head_attention`` takes it: ``inputs = ["answer", "answer_mask", "memory",
    "memory_mask"]``. Output: the shape of the first.

    Attributes
    ----------
    num_heads : int
        Heads of both attentions; must divide the width.
    mlp_ratio : float
        Width inside the mlp, as a multiple of the block's.
    activation : Layer
        Between the linear maps of the mlp, as in ``transformer_block``.
    pre_norm : bool
        Whether norms stand before the parts, or behind.
    causal : bool
        Whether a step may look at itself and earlier ones of its own sequence alone. All of the
        memory is open to each.
    dropout : float
        Probability in training, on the weights of the attentions, inside the mlp, and on what each
        of the three adds.
    bias : bool
        Whether linear maps add a bias.
    norm : Layer
        What the norms are.
    rotary : bool
        Whether the attention to its own sequence turns queries and keys by their position.
    init : Initializer
        First values of the weights of the linear maps.
    num_kv_heads : int, optional
        As for ``multi_head_attention``.
    """

    samples = (
        sample((2, 3, 4), (2, 2, 4), num_heads=2, mlp_ratio=1.5),
        sample((2, 2, 2), (2, 3, 3), _MASK, num_heads=1, pre_norm=False, dropout=0.2),
        sample((2, 3, 4), _MASK, (2, 3, 4), _MASK, num_heads=1, bias=False, rotary=True),
    )

    causal: bool = True

    def build(self, x: Spec, *others: Spec) -> None:
        check_sequence(x)
        own, memory = self._parted(x, *others)
        self.attention("self_attn", *own, causal=self.causal, rotary=self.rotary)
        self.attention("multihead_attn", x, *memory)
        self.around(x, 3)

    def forward(self, x: Tensor, *others: Tensor, context: Context) -> Tensor:
        (_, *mask), memory = self._parted(x, *others)

        def attend(x: Tensor) -> Tensor:
            return self.children["self_attn"](x, *mask, context=context)

        def look_up(x: Tensor) -> Tensor:
            return self.children["multihead_attn"](x, *memory, context=context)

        return self.run(x, context, attend, look_up)

    def _parted(self, *inputs: Any) -> list[list[Any]]:
        """Return the sequence and the memory, each with its mask behind it if it has one."""
        starts = [i for i, x in enumerate(inputs) if x.dtype != "bool"]
        ends = [*starts[1:], len(inputs)]
        found = [list(inputs[a:b]) for a, b in zip(starts, ends, strict=True)]
        if len(found) != 2 or max(map(len, found)) > 2:
            given = ", ".join(x.dtype for x in inputs)
            raise ConfigError(
                f"{self.label}: it takes a sequence and a memory, each with its padding mask "
                f"behind it if it has one, not {given}"
            )
        return found


def _unchanged(x: Tensor) -> Tensor:
    return x
