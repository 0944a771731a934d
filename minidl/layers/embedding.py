"""Layers that look up rows by index."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Annotated

from annotated_types import Ge

from minidl import ops
from minidl.component import make
from minidl.errors import DtypeError
from minidl.graph import Draw, Spec, Tensor, sample
from minidl.graph.spec import INTEGERS
from minidl.initializers import Initializer
from minidl.layers.base import Layer, layer


@layer("embedding")
class Embedding(Layer):
    """A learned vector for each index.

    z = W[x];    ∂L/∂W[i] = Σ ∂L/∂z over the places where x = i

    Input: integers in [0, num_embeddings), shape (batch, ...). Output: float, shape
    (batch, ..., embedding_dim). Parameter: ``weight`` W of shape (num_embeddings, embedding_dim).

    Attributes
    ----------
    num_embeddings : int
        How many different indices there are.
    embedding_dim : int
        Length of each vector.
    init : Initializer
        First values of the vectors; default normal with mean 0 and standard deviation 1, as in
        PyTorch.
    """

    samples = (
        sample(Draw((3, 4), 0, 5, dtype="int64"), num_embeddings=5, embedding_dim=2),
        sample(Draw((6,), 0, 3, dtype="uint8"), num_embeddings=3, embedding_dim=4),
    )

    num_embeddings: Annotated[int, Ge(1)]
    embedding_dim: Annotated[int, Ge(1)]
    init: Initializer = field(
        default_factory=partial(make, "initializer", {"type": "normal", "mean": 0.0, "std": 1.0})
    )

    def build(self, x: Spec) -> None:
        if x.dtype not in INTEGERS:
            raise DtypeError(f"it takes integer indices, not {x.dtype}")
        shape = (self.num_embeddings, self.embedding_dim)
        self.parameter("weight", shape, self.init, symbol="W")

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        last = self.num_embeddings - 1
        return ops.take(weight, ops.in_range(x, low=0, high=last, name="index"), axis=0)
