"""PyTorch: every loss that it has too is compared with it, value and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from parity import compare_with_torch
from torch_training import LOSSES

from minidl import registry
from minidl.component import config_fields, make
from minidl.graph import Draw
from minidl.testing.draws import draw

_SHAPES = [(3, 4), (1, 1), (7,), (2, 3, 5)]
_LOGITS = [(4, 5), (1, 5), (2, 3, 5), (2, 3, 1, 5)]
_WEIGHT = {"weight": [0.5, 2.0, 0.1, 1.3, 0.7]}


def _values(*options: dict[str, Any]) -> list[Any]:
    return [(fields, shape, shape) for shape in _SHAPES for fields in (options or ({},))]


def _classes(*options: dict[str, Any]) -> list[Any]:
    return [
        (fields, shape, Draw(shape[:-1], 0, 5, "int64"))
        for shape in _LOGITS
        for fields in ({}, _WEIGHT, {"ignore_index": 3, **_WEIGHT}, *options)
    ]


def _images(*options: dict[str, Any]) -> list[Any]:
    return [
        ({"axis": 1, **fields}, (2, 5, 3, 4), Draw((2, 3, 4), 0, 5, "int64"))
        for fields in ({}, _WEIGHT, *options)
    ]


_SMOOTH = [{"label_smoothing": 0.2}, {"label_smoothing": 0.1, "ignore_index": 3, **_WEIGHT}]
_PADDED = np.array([[1, 2, 2], [3, -1, -1], [2, 0, 0]])

CALLS: dict[str, list[Any]] = {
    "binary_cross_entropy": [
        (fields, shape, target)
        for shape in _SHAPES
        for target in (Draw(shape, 0.0, 1.0), Draw(shape, 0, 2, "int64"))
        for fields in ({}, {"pos_weight": 3.0}, {"pos_weight": [0.5] * (shape[-1] - 1) + [2.0]})
    ],
    "cosine_embedding": [({}, shape, shape) for shape in ((3, 4), (1, 2), (2, 3, 5))],
    "cross_entropy": _classes(*_SMOOTH)
    + _images(*_SMOOTH)
    + [
        (fields, shape, Draw(shape, 0.0, 1.0))
        for shape in _LOGITS
        for fields in ({}, _WEIGHT, _SMOOTH[0])
    ],
    "ctc": [
        ({}, (3, 7, 4), _PADDED),
        ({"blank": 3}, (2, 5, 4), np.array([[0, 1, 1], [2, 3, 3]])),
        ({"zero_infinity": True}, (3, 2, 4), _PADDED),
        ({}, (1, 1, 2), np.array([[1]])),
    ],
    "huber": _values({}, {"delta": 0.3}, {"delta": 2.0}),
    "kl_div": [
        call
        for shape in _LOGITS
        for call in (({}, shape, Draw(shape, 0.1, 1.0)), ({"log_target": True}, shape, shape))
    ],
    "mae": _values(),
    "mse": _values(),
    "nll": _classes() + _images(),
    "smooth_l1": _values({}, {"beta": 0.3}, {"beta": 2.0}),
    "squared_error": _values(),
}
"""Fields, prediction and target to compare each loss with."""


def calls() -> Iterator[Any]:
    """Yield (loss's name, fields, prediction, target) for every loss that PyTorch has."""
    for name in LOSSES:
        for index, call in enumerate(CALLS[name]):
            yield pytest.param(name, *call, id=f"{name}-{index}")


@pytest.mark.parity
@pytest.mark.parametrize(("name", "fields", "prediction", "target"), list(calls()))
def test_losses_are_those_of_pytorch(name, fields, prediction, target):
    pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    compare_with_torch(
        make("loss", {"type": name, **fields}),
        lambda p, t: LOSSES[name](p, t, **fields),
        [draw(prediction, rng), draw(target, rng)],
    )


def test_every_option_of_every_loss_is_among_them():
    for name, given in CALLS.items():
        tried = {field for fields, *_ in given for field in fields}
        assert {field.name for field in config_fields(registry.get("loss", name))} <= tried, name
