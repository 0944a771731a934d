"""PyTorch: every op that it has too is compared with it, value and gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch_ops
from parity import compare_op_with_torch

from minidl import registry
from minidl.graph import Draw, Sample, sample

LAYOUTS = [
    [(1,), (1,), (1,)],
    [(7, 13), (7, 13), (7, 13)],
    [(1, 5, 1), (3, 1, 2), (1, 1, 1)],
    [(2, 0, 3), (1, 3), (1,)],
    [(3, 1), (), (5,)],
]
"""Shapes of an elementwise op's inputs, beside those of its samples."""

_ODD = [(1,), (1, 1), (7, 13), (3, 1, 5), (2, 0, 3)]
_REDUCTIONS = [
    sample(Draw(shape, distinct=True), axis=axis, keepdims=keepdims)
    for shape in _ODD[:-1]
    for axis in (None, 0, -1, (0, -1) if len(shape) > 1 else (0,))
    for keepdims in (False, True)
]
_EMPTY_REDUCTIONS = [sample((2, 0, 3), axis=axis) for axis in (0, 2, (0, 2), -1)]
_ONE_AXIS = [s for s in _REDUCTIONS if not isinstance(s.attributes["axis"], tuple)]
_SOFTMAXES = [sample(shape, axis=axis) for shape in _ODD for axis in {0, len(shape) - 1}]
_TIED = [[2.0, 2.0, 1.0], [1.0, 2.0, 1.0], [0.0, 0.0, 0.0]]

MORE: dict[str, list[Sample]] = {
    **dict.fromkeys(
        ("logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"),
        [*_REDUCTIONS, *_EMPTY_REDUCTIONS],
    ),
    **dict.fromkeys(("all", "any", "count_nonzero"), [*_REDUCTIONS, *_EMPTY_REDUCTIONS]),
    **dict.fromkeys(("argmax", "argmin"), [*_ONE_AXIS, *_EMPTY_REDUCTIONS[:2]]),
    **dict.fromkeys(("softmax", "log_softmax"), _SOFTMAXES),
    "avg_pool1d": [sample((1, 2, 8), kernel_size=3, stride=2, ceil_mode=True)],
    "ctc": [sample((2, 1, 4), [[1, 2, 3]], [2], [3], zero_infinity=True)],
    "eye": [sample(n_rows=3, n_cols=1, dtype="float64"), sample(n_rows=0)],
    "max_pool1d": [sample(Draw((1, 2, 9), distinct=True), kernel_size=2, dilation=3)],
    "pairwise_distance": [sample((5, 3), (5, 3), eps=0.5), sample((1, 1), (7, 1))],
    "triplet_margin": [sample((5, 1), (5, 1), (5, 1), eps=0.5)],
    "concat": [sample((2, 1), (2, 0), (2, 5), axis=1), sample((3, 7))],
    "matmul": [sample((7, 13), (13, 1)), sample((1,), (1,)), sample((2, 0, 3), (3, 5))],
    "split": [sample((7, 1), parts=(1, 0, 6)), sample((1, 3), parts=1, axis=0)],
    "take": [sample((1, 3), [0, 0, 0], axis=0), sample((7, 0), [6, -7], axis=0)],
    "where": [sample(Draw((7, 1), dtype="bool"), (1, 13), (7, 13))],
}
"""Calls of ops beside their samples: of odd sizes, of size 1, empty."""


def calls() -> Iterator[Any]:
    """Yield (op's name, call) for every op that PyTorch has."""
    for name in torch_ops.OPS:
        op = registry.get("op", name)
        given = [*op.samples, *_in_other_layouts(op), *MORE.get(name, ())]
        for index, each in enumerate(given):
            yield pytest.param(name, each, id=f"{name}-{index}")


def _in_other_layouts(op: Any) -> Iterator[Sample]:
    first = op.samples[0]
    if op.elementwise and all(isinstance(each, Draw) for each in first.inputs):
        for shapes in LAYOUTS:
            pairs = zip(first.inputs, shapes, strict=False)
            yield Sample(tuple(replace(draw, shape=s) for draw, s in pairs), first.attributes)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:var", "ignore:reduction", "ignore:Using padding")
@pytest.mark.parametrize(("name", "call"), list(calls()))
def test_ops_are_those_of_pytorch(name, call):
    pytest.importorskip("torch")
    compare_op_with_torch(name, *call.inputs, **call.attributes)


_AROUND = [-1e4, -100.0, -30.0, -10.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 10.0, 30.0, 100.0, 1e4]
_SCORES = [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [0.0, 1e-6, -1e-6]]

_JUMPS = [-2.5, -2.0, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.0, 2.5]

AT_THE_EDGE = [
    *((name, sample(_JUMPS)) for name in ("ceil", "floor", "round", "signbit", "trunc")),
    *((name, sample(_AROUND)) for name in ("asinh", "atan")),
    *((name, sample([1e-30, 1e-6, 1.0, 1e6, 1e30])) for name in ("log10", "log2", "reciprocal")),
    *((name, sample([6.0, -6.0], [3.0, 3.0])) for name in ("floor_divide", "remainder")),
    ("atan2", sample([0.0, 0.0, 1.0, -1.0], [1.0, -1.0, 0.0, 0.0])),
    ("copysign", sample([0.0, -2.0, 2.0], [-1.0, 0.0, -0.0])),
    ("logaddexp", sample([1e4, -1e4, 1e4, 1e-6], [1e4, 1e4, -1e4, 0.0])),
    *((name, sample(_TIED, axis=axis)) for name in ("argsort", "sort") for axis in (0, 1)),
    ("max_pool2d", sample([[[[-math.inf] * 3] * 2]], kernel_size=2, stride=1, padding=1)),
    ("sort", sample(_TIED, axis=1, descending=True)),
    ("cumulative_prod", sample(_TIED, axis=0)),
    ("std", sample(_TIED, axis=1)),
    *((name, sample(_AROUND)) for name in ("abs", "cos", "erf", "gelu_erf", "gelu_tanh", "relu")),
    *((name, sample(_AROUND)) for name in ("sigmoid", "sign", "sin", "square", "tanh")),
    *((name, sample([-1e4, -30.0, -1e-6, 0.0, 1e-6, 30.0])) for name in ("exp", "expm1")),
    *((name, sample([1e-30, 1e-6, 1.0, 1e6, 1e30])) for name in ("log", "log1p", "sqrt")),
    ("hardswish", sample([-3.0, 3.0])),
    ("softplus", sample([1.0, 2.0], beta=2.0, threshold=2.0)),
    ("prelu", sample([0.0, -1e4, 1e4], [0.5])),
    ("clip", sample([-1.0, 1.0, 2.0], min=-1.0, max=1.0)),
    ("clip", sample([-1.0, 1.0, 2.0], max=1.0)),
    ("clip", sample([-1.0, 1.0, 2.0], min=-1.0)),
    *((name, sample(_TIED, [2.0, 1.0, 0.0])) for name in ("maximum", "minimum")),
    *((name, sample(_TIED, axis=axis)) for name in ("max", "min") for axis in (None, 0, 1)),
    *((name, sample(_TIED, axis=axis)) for name in ("argmax", "argmin") for axis in (None, 0, 1)),
    ("prod", sample(_TIED, axis=0)),
    ("pow", sample([0.0, 2.0, -2.0], 0)),
    ("pow", sample([0.0, 2.0, -2.0], 1)),
    ("pow", sample([0.0, 2.0, -2.0], 2)),
    ("pow", sample([0.0, 2.0, 0.0], [2.0, 0.0, 1.0])),
    ("pow", sample([0.0], [0.0])),
    ("divide", sample([0.0, 1.0, -1.0], [1e-30, 1e30, 1e-6])),
    *((name, sample(_SCORES, axis=1)) for name in ("softmax", "log_softmax", "logsumexp")),
    ("cross_entropy", sample(_SCORES, [1, 1, 0, 2])),
    ("cross_entropy", sample(_SCORES, [1, 1, 0, 2], label_smoothing=0.1)),
    ("binary_cross_entropy_with_logits", sample(_SCORES, (4, 3))),
    ("mae", sample(_TIED, [[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [0.0, 1.0, 0.0]])),
    ("huber", sample([0.0, 1.0, -1.0, 1e4], [0.0, 0.0, 0.0, -1e4])),
    ("smooth_l1", sample([0.0, 1.0, -1.0, 1e4], [0.0, 0.0, 0.0, -1e4])),
    ("pairwise_distance", sample([[1.0, 2.0]], [[1.0, 2.0]], eps=0.0)),
    ("pairwise_distance", sample([[1.0, 2.0]], [[1.0, 3.0]], eps=0.0, p=1.0)),
    ("cosine_similarity", sample([[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 4.0]])),
    ("var", sample([[1e5, 1e5 + 1, 1e5 - 1]], axis=1)),
]
"""Calls at kinks, at ties and far out."""


@pytest.mark.parity
@pytest.mark.parametrize(("name", "call"), AT_THE_EDGE, ids=str)
def test_ops_are_those_of_pytorch_at_kinks_and_far_out(name, call):
    pytest.importorskip("torch")
    compare_op_with_torch(name, *call.inputs, **call.attributes)


ELSEWHERE = {
    # PyTorch's gradient of vectors shorter than eps is not that of its value
    "cosine_similarity": {"eps"},
    "scaled_dot_product_attention": {"attn_mask", "dropout_p", "random_key"},  # test_attention.py
}
"""Attributes that cannot be compared or are in other files."""


def test_every_attribute_of_every_op_is_among_them():
    tried = {
        (name, field)
        for name, call in (each.values for each in calls())
        for field in call.attributes
    }
    for name in torch_ops.OPS:
        fields = {*registry.get("op", name).attribute_names} - ELSEWHERE.get(name, set())
        assert {(name, field) for field in fields} <= tried
