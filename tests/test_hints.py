"""Near misses: what is meant by names of other frameworks, other spellings and typing errors."""

from __future__ import annotations

import dataclasses

import pytest

from minidl import registry
from minidl.component import Component, config_fields
from minidl.config.schema import BatchConfig, General, ModelConfig, TrainingConfig
from minidl.errors import field_hint
from minidl.hints import ALSO_CALLED, INFERRED, nearest

KINDS = [kind for kind in registry.KINDS if kind not in ("op", "kernel", "backend")]
SECTIONS = (General, BatchConfig, ModelConfig, TrainingConfig)


def fields(kind, name):
    return [f.name for f in config_fields(registry.get(kind, name))]


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("layer", "ReLU", "relu"),
        ("layer", "nn.Linear", "linear"),
        ("layer", "torch.nn.BatchNorm2d", "batch_norm"),
        ("layer", "LeakyReLU", "leaky_relu"),
        ("layer", "Dense", "linear"),
        ("layer", "MaxPooling2D", "max_pool2d"),
        ("layer", "attention", "multi_head_attention"),
        ("layer", "mha", "multi_head_attention"),
        ("layer", "positional", "positional_embedding"),
        ("layer", "lstmm", "lstm"),
        ("layer", "zzz", None),
        ("op", "gate", None),
        ("layer", "", None),
        ("initializer", "he_normal", "kaiming_normal"),
        ("initializer", "xavier_uniform", "glorot_uniform"),
        ("initializer", "zero", "zeros"),
        ("loss", "bce", "binary_cross_entropy"),
        ("loss", "BCEWithLogitsLoss", "binary_cross_entropy"),
        ("loss", "CrossEntropyLoss", "cross_entropy"),
        ("loss", "l1", "mae"),
        ("loss", "hinge", None),
        ("metric", "f1_score", "f1"),
        ("optimizer", "AdamW", "adamw"),
        ("optimizer", "sdg", "sgd"),
        ("schedule", "CosineAnnealingLR", "cosine"),
        ("schedule", "StepLR", "step"),
        ("schedule", "cos", "cosine"),
        ("dataset", "table", "csv"),
        ("dataset", "MNIST", "mnist"),
    ],
)
def test_a_part_called_otherwise_is_recognised(kind, name, meant):
    assert nearest(name, registry.names(kind)) == meant


@pytest.mark.parametrize(
    ("kind", "part", "field", "hint"),
    [
        ("layer", "linear", "out_features", "; did you mean 'units'?"),
        ("layer", "linear", "in_features", "; leave it out: sizes of inputs are inferred"),
        ("layer", "conv2d", "units", "; did you mean 'out_channels'?"),
        ("layer", "conv2d", "filters", "; did you mean 'out_channels'?"),
        ("layer", "conv2d", "kernel", "; did you mean 'kernel_size'?"),
        ("layer", "conv2d", "in_channels", "; leave it out: sizes of inputs are inferred"),
        ("layer", "embedding", "input_dim", "; did you mean 'num_embeddings'?"),
        ("layer", "lstm", "units", "; did you mean 'hidden_size'?"),
        ("layer", "linear", "colour", ""),
        ("optimizer", "adam", "learning_rate", "; did you mean 'lr'?"),
        ("schedule", "step", "step_size", "; did you mean 'every'?"),
        ("dataset", "csv", "sep", "; did you mean 'delimiter'?"),
    ],
)
def test_a_field_called_otherwise_is_recognised(kind, part, field, hint):
    assert field_hint(field, fields(kind, part)) == hint


def existing_names():
    names = {entry.name for kind in KINDS for entry in registry.entries(kind)}
    for cls in (entry.value for kind in KINDS for entry in registry.entries(kind)):
        assert issubclass(cls, Component)
        names |= {f.name for f in config_fields(cls)}
    return names | {f.name for section in SECTIONS for f in dataclasses.fields(section)}


def test_every_name_that_is_called_otherwise_exists():
    assert set(ALSO_CALLED) - existing_names() == set()


def test_no_part_is_hidden_behind_another_name_of_its_own_kind():
    for kind in KINDS:
        known = registry.names(kind)
        assert [name for name in known if nearest(name, known) != name] == []


def test_a_size_that_is_inferred_is_no_field_of_a_part():
    declared = {f for kind in KINDS for n in registry.names(kind) for f in fields(kind, n)}
    assert set(INFERRED.split()) & declared == set()
