"""Attention between the steps of sequences."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from itertools import accumulate, pairwise
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from minidl import ops
from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.initializers import Initializer
from minidl.layers.base import Context, Layer, layer
from minidl.layers.checks import check_padding_mask, check_sequence

_PARTS = ("query", "key", "value")
_MASK = Draw((2, 3), dtype="bool")


@layer("multi_head_attention")
class MultiHeadAttention(Layer):
    """Each step of a sequence takes from others what it needs; several heads do so side by side.

    head_i = softmax(q_i @ k_i.T / √d) @ v_i;    z = [head_1, head_2, …] @ W_o.T + b_o

    where q, k and v are affine maps of the inputs, and q_i … are their d features for head i.
    Vaswani et al., "Attention is all you need", NeurIPS 2017; parameters as in PyTorch.

    Inputs: one sequence (batch, time, width), for attention to itself; two, the first attending
    to the second; or three: queries, keys and values. Behind them may stand a padding mask, bool
    of shape (batch, time of the keys), true where a key is padding (see ``padding_mask``). A
    query without any key gets b_o. Output: the shape of the first input.

    Parameters: ``in_proj_weight`` (3 · width, width) and ``in_proj_bias`` (3 · width), rows for
    q, k and v in this order, and ``out_proj.weight``, ``out_proj.bias``. Where inputs differ in
    width, ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight`` take the place of the first.
    With ``num_kv_heads``, k and v have as many fewer rows.

    Attributes
    ----------
    num_heads : int
        Must divide the width.
    num_kv_heads : int, optional
        Heads of the keys and values, each for as many heads of the queries, one after another:
        Ainslie et al., "GQA", 2023. Default: as many as heads.
    causal : bool
        Whether step t of the queries may look at keys 0 to t alone.
    dropout : float
        Probability with which a weight of the softmax is dropped in training.
    bias : bool
        Whether maps add a bias.
    rotary : bool
        Whether queries and keys are turned by their position (op ``rope``); for attention of a
        sequence to itself.
    rotary_base : float
        ``base`` of ``rope``.
    init : Initializer
        First values of the weights; biases start at 0.
    """

    samples = (
        sample((2, 3, 4), num_heads=2),
        sample((2, 3, 4), num_heads=1, causal=True, bias=False),
        sample((2, 3, 4), _MASK, num_heads=2, rotary=True),
        sample((2, 4, 4), (2, 3, 5), _MASK, num_heads=2, dropout=0.3),
        sample((2, 1, 2), (2, 3, 2), (2, 3, 2), num_heads=1),
        sample((2, 3, 4), _MASK, num_heads=4, num_kv_heads=2, causal=True),
    )

    num_heads: Annotated[int, Ge(1)]
    causal: bool = False
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    bias: bool = True
    rotary: bool = False
    rotary_base: Annotated[float, Gt(1)] = 10000.0
    init: Initializer = field(default_factory=partial(make, "initializer", "glorot_uniform"))
    num_kv_heads: Annotated[int, Ge(1)] | None = None

    def check_fields(self) -> None:
        check_heads(self.num_heads, self.num_kv_heads)

    def build(self, query: Spec, *others: Spec) -> None:
        sequences, masks = _parted((query, *others))
        self._check_inputs(sequences, masks)
        width = query.shape[2]
        widths = [spec.shape[2] for spec in _query_key_value(sequences)]
        rows = self._rows(width)
        if set(widths) == {width}:
            self.parameter("in_proj_weight", (sum(rows), width), self.init, symbol="W_in")
        else:
            for part, count, each in zip(_PARTS, rows, widths, strict=True):
                name, symbol = f"{part[0]}_proj_weight", f"W_{part[0]}"
                self.parameter(name, (count, each), self.init, symbol=symbol)
        if self.bias:
            self.parameter("in_proj_bias", (sum(rows),), "zeros", symbol="b_in")
        out = {"type": "linear", "units": width, "bias": self.bias, "init": self.init}
        self.child("out_proj", make("layer", out), query)

    def forward(
        self, query: Tensor, *others: Tensor, context: Context, **parameters: Tensor
    ) -> Tensor:
        sequences, masks = _parted((query, *others))
        weights, biases = self._projections(query.shape[2], parameters)
        features = query.shape[2] // self.num_heads
        q, k, v = (
            _heads(x, weight, bias, features)
            for x, weight, bias in zip(_query_key_value(sequences), weights, biases, strict=True)
        )
        if self.rotary:
            q, k = (ops.rope(x, base=self.rotary_base) for x in (q, k))
        if k.shape[1] != self.num_heads:
            q = q.reshape(q.shape[0], k.shape[1], -1, *q.shape[2:])
            k, v = (ops.expand_dims(x, axis=2) for x in (k, v))
        dropped = self.dropout if context.training else 0.0
        z = ops.scaled_dot_product_attention(
            q,
            k,
            v,
            ~masks[0].reshape(k.shape[0], *(1,) * (k.ndim - 2), -1) if masks else None,
            dropout_p=dropped,
            is_causal=self.causal,
            random_key=context.random_key(self) if dropped else None,
        )
        z = z.reshape(z.shape[0], self.num_heads, *z.shape[-2:])
        joined = ops.permute_dims(z, (0, 2, 1, 3)).reshape(query.shape)
        return self.children["out_proj"](joined, context=context)

    def _projections(
        self, width: int, parameters: dict[str, Tensor]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Return the weights and biases of q, k and v."""
        joined, bias = parameters.get("in_proj_weight"), parameters.get("in_proj_bias")
        ends = list(accumulate(self._rows(width), initial=0))
        rows = [slice(*part) for part in pairwise(ends)]
        if joined is None:
            weights = [parameters[f"{part[0]}_proj_weight"] for part in _PARTS]
        else:
            weights = [joined[part] for part in rows]
        return weights, [None if bias is None else bias[part] for part in rows]

    def _rows(self, width: int) -> list[int]:
        """Return how many features q, k and v have together, in all heads."""
        of_keys = width // self.num_heads * (self.num_kv_heads or self.num_heads)
        return [width, of_keys, of_keys]

    def _check_inputs(self, sequences: list[Spec], masks: list[Spec]) -> None:
        if not 1 <= len(sequences) <= 3 or len(masks) > 1:
            raise ConfigError(
                f"{self.label}: it takes one to three sequences and one padding mask, not "
                f"{len(sequences)} and {len(masks)}"
            )
        for spec in sequences:
            check_sequence(spec)
        query, key, value = _query_key_value(sequences)
        if not query.shape[2]:
            raise ShapeError(f"sequences of shape {query.shape} have no features")
        if query.shape[2] % self.num_heads:
            raise ShapeError(
                f"num_heads = {self.num_heads} does not divide the width {query.shape[2]}"
            )
        if query.shape[0] != key.shape[0] or key.shape[:2] != value.shape[:2]:
            raise ShapeError(
                "the sequences do not fit together: queries, keys and values have (batch, time) = "
                f"{query.shape[:2]}, {key.shape[:2]} and {value.shape[:2]}"
            )
        for mask in masks:
            check_padding_mask(mask, key)
        if self.rotary and len(sequences) > 1:
            raise ConfigError(
                f"{self.label}: rotary is for attention of a sequence to itself, "
                f"but {len(sequences)} sequences are given"
            )
        if self.rotary and query.shape[2] // self.num_heads % 2:
            raise ShapeError(
                f"rotary needs an even number of features a head, but {query.shape[2]} / "
                f"{self.num_heads} = {query.shape[2] // self.num_heads}"
            )


def check_heads(num_heads: int, num_kv_heads: int | None) -> None:
    """Raise ValueError unless each head of keys serves as many of queries."""
    if num_kv_heads and num_heads % num_kv_heads:
        raise ValueError(f"num_kv_heads = {num_kv_heads} does not divide num_heads = {num_heads}")


def _heads(x: Tensor, weight: Tensor, bias: Tensor | None, features: int) -> Tensor:
    """Map the features of each step; return them as (batch, heads, time, features)."""
    batch, time, width = x.shape
    mapped = x.reshape(batch * time, width) @ weight.T
    if bias is not None:
        mapped = mapped + bias
    split = mapped.reshape(batch, time, weight.shape[0] // features, features)
    return ops.permute_dims(split, (0, 2, 1, 3))


def _parted(inputs: tuple) -> tuple[list, list]:
    """Part sequences from masks, which are bool; a mask stands last."""
    last = len(inputs) - 1
    masks = [x for i, x in enumerate(inputs) if i == last and x.dtype == "bool"]
    return list(inputs[: len(inputs) - len(masks)]), masks


def _query_key_value(sequences: list) -> list:
    """Return three: of two sequences the second is key and value, of one it is all."""
    return [sequences[0], sequences[1] if len(sequences) > 1 else sequences[0], sequences[-1]]
