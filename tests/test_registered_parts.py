"""Every built-in part, made from a config: the config it gives back makes the same part again."""

import tomllib

import pytest
import tomlkit

from minidl import registry
from minidl.component import config_fields, make, to_config
from minidl.errors import ConfigError

EXAMPLES = {
    "initializer": [
        "zeros",
        "ones",
        {"type": "constant", "value": 0.5},
        {"type": "values", "values": [[1, 2], [3.5, 4]]},
        {"type": "uniform", "low": -1.0, "high": 1.0},
        {"type": "normal", "mean": 1.0, "std": 2.0},
        {"type": "glorot_uniform", "gain": 2.0},
        {"type": "glorot_normal", "gain": 2.0},
        {"type": "kaiming_uniform", "mode": "fan_out", "nonlinearity": "tanh"},
        {"type": "kaiming_normal", "nonlinearity": "leaky_relu", "negative_slope": 0.1},
        {"type": "orthogonal", "gain": 2.0},
        {"type": "truncated_normal", "std": 0.5, "low": -1.0},
    ],
    "layer": [
        {
            "type": "linear",
            "units": 3,
            "bias": False,
            "init": {"type": "constant", "value": 2.0},
            "bias_init": "ones",
            "name": "f",
            "inputs": ["a"],
            "repeat": 2,
        },
        {"type": "flatten", "start_axis": 2},
        {"type": "reshape", "shape": [2, -1]},
        "identity",
        "relu",
        "sigmoid",
        "tanh",
        {"type": "softmax", "axis": 1},
        {"type": "log_softmax", "axis": 1},
        {"type": "leaky_relu", "negative_slope": 0.2},
        {"type": "prelu", "num_parameters": 3, "init": 0.1},
        {"type": "elu", "alpha": 0.5},
        "selu",
        {"type": "softplus", "beta": 2.0, "threshold": 10.0},
        {"type": "gelu", "approximate": "tanh"},
        "silu",
        "mish",
        "hardswish",
        {"type": "glu", "axis": 1},
        "swiglu",
        {"type": "batch_norm", "momentum": "cumulative", "affine": False},
        {"type": "batch_norm", "momentum": 0.2, "track_running_stats": False},
        {"type": "layer_norm", "normalized_shape": [3, 4], "bias": False},
        {"type": "rms_norm", "eps": 1e-5},
        {"type": "group_norm", "num_groups": 2},
        {"type": "instance_norm", "affine": True},
        {"type": "dropout", "p": 0.25},
        {"type": "embedding", "num_embeddings": 7, "embedding_dim": 2, "init": "zeros"},
        {"type": "add", "inputs": ["a", "b"]},
        {"type": "concat", "axis": -1, "inputs": ["a", "b"]},
        {"type": "multi_head_attention", "num_heads": 2, "causal": True, "dropout": 0.1},
        {"type": "transformer_block", "num_heads": 2, "activation": {"type": "relu"}},
        {"type": "positional_embedding", "max_length": 8},
        {"type": "sinusoidal_embedding", "base": 100.0},
        {"type": "padding_mask", "value": 1.0},
        {"type": "rnn", "hidden_size": 3, "nonlinearity": "relu"},
        {"type": "gru", "hidden_size": 3, "num_layers": 2, "dropout": 0.1, "init": "ones"},
        {"type": "lstm", "hidden_size": 3, "bidirectional": True, "output": "last"},
        {
            "type": "residual",
            "layers": [{"type": "linear", "units": 2, "tie": {"weight": "f.weight"}}],
            "shortcut": [{"type": "relu"}],
            "tie": "other",
        },
        {
            "type": "sequential",
            "input": "x",
            "layers": [
                {"type": "linear", "units": 2},
                {"type": "sequential", "layers": ["relu"], "repeat": 3},
            ],
        },
    ],
    "loss": [
        {"type": "cross_entropy", "label_smoothing": 0.1},
        {"type": "cross_entropy", "weight": [1.0, 2.0], "ignore_index": -100, "axis": 1},
        {"type": "nll", "weight": [1.0, 2.0]},
        {"type": "kl_div", "log_target": True},
        "binary_cross_entropy",
        {"type": "binary_cross_entropy", "pos_weight": 2.0},
        {"type": "binary_cross_entropy", "pos_weight": [2.0, 0.5]},
        {"type": "triplet_margin", "margin": 0.5, "p": 1.0},
        {"type": "ctc", "blank": 2, "zero_infinity": True},
        "squared_error",
        "mse",
        "mae",
        {"type": "huber", "delta": 0.5},
        {"type": "smooth_l1", "beta": 0.5},
        "cosine_embedding",
    ],
    "metric": [
        "accuracy",
        {"type": "accuracy", "axis": 1, "ignore_index": 3},
        {"type": "top_k_accuracy", "k": 3},
        {"type": "precision", "average": "micro"},
        {"type": "recall", "average": "none"},
        {"type": "f1", "ignore_index": 0},
        "confusion_matrix",
        {"type": "f1", "multilabel": True, "name": "f1_of_labels"},
        {"type": "auc", "average": "micro"},
        {"type": "label_error_rate", "blank": 3},
        "perplexity",
        "mae",
        "mse",
        "rmse",
        "r2",
    ],
    "optimizer": [
        {"type": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        {"type": "sgd", "momentum": 0.9, "dampening": 0.1},
        {"type": "adam", "lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.1},
        {"type": "adamw", "betas": [0.8, 0.9], "weight_decay": 0.1},
        {"type": "rmsprop", "alpha": 0.9, "momentum": 0.5, "centered": True},
        {"type": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 1.0},
        {"type": "adadelta", "rho": 0.8, "eps": 1e-5},
        {"type": "nadam", "momentum_decay": 0.1, "decoupled_weight_decay": True},
        {"type": "lion", "betas": [0.8, 0.9], "weight_decay": 0.1},
        {"type": "muon", "ns_steps": 3, "adjust_lr": "match_rms_adamw", "other": "lion"},
    ],
    "schedule": [
        "constant",
        {"type": "cosine", "min_factor": 0.1, "warmup_steps": 5},
        {"type": "step", "every": 10, "gamma": 0.5},
        {"type": "multistep", "milestones": [10, 20], "gamma": 0.5},
        {"type": "exponential", "gamma": 0.99, "warmup_steps": 3},
        {"type": "linear", "min_factor": 0.1},
        {"type": "polynomial", "power": 2.0, "min_factor": 0.1},
        {"type": "cosine_restarts", "period": 10, "multiplier": 2},
        {"type": "one_cycle", "anneal_strategy": "linear", "three_phase": True},
        {"type": "reduce_on_plateau", "metric": "accuracy", "gamma": 0.5, "patience": 3},
    ],
    "transform": [
        {"type": "random_crop", "padding": 2, "fill": 128.0},
        {"type": "horizontal_flip", "p": 0.25},
        {"type": "cutout", "size": 6, "p": 0.5},
        {"type": "mixup", "alpha": 1.0},
    ],
}


def is_built_in(entry):
    return entry.value.__module__.startswith("minidl.")


# A layer's own samples are examples too, so a new layer needs none here.
EXAMPLES["layer"] += [
    {"type": entry.name, **sample.attributes}
    for entry in registry.entries("layer")
    if is_built_in(entry)
    for sample in entry.value.samples
]
PAIRS = [(kind, given) for kind, examples in EXAMPLES.items() for given in examples]


def type_of(given):
    return given if isinstance(given, str) else given["type"]


def label(value):
    return value if isinstance(value, str) else type_of(value)


def plain(value):
    """Return a config with every part written as a table and every sequence as a list."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def holds_parts(value):
    return isinstance(value, list) and any(isinstance(item, str | dict) for item in value)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_built_in_has_an_example(kind):
    built_in = {entry.name for entry in registry.entries(kind) if is_built_in(entry)}
    assert {type_of(given) for given in EXAMPLES[kind]} == built_in


@pytest.mark.parametrize(("kind", "given"), PAIRS, ids=label)
def test_a_config_survives_the_round_trip(kind, given):
    config = to_config(make(kind, given))
    again = make(kind, config)
    assert type(again) is registry.get(kind, type_of(given))
    assert to_config(again) == config
    for key, value in ({} if isinstance(given, str) else given).items():
        if key != "type" and not isinstance(value, str | dict) and not holds_parts(value):
            assert config[key] == plain(value)


@pytest.mark.parametrize(("kind", "given"), PAIRS, ids=label)
def test_a_config_survives_a_toml_file(kind, given):
    config = to_config(make(kind, given))
    assert tomllib.loads(tomlkit.dumps({"part": plain(config)}))["part"] == plain(config)


@pytest.mark.parametrize(("kind", "given"), PAIRS, ids=label)
def test_python_makes_what_a_config_makes(kind, given):
    from_config = make(kind, given)
    fields = {f.name: getattr(from_config, f.name) for f in config_fields(type(from_config))}
    assert to_config(type(from_config)(**fields)) == to_config(from_config)


@pytest.mark.parametrize(("kind", "given"), PAIRS, ids=label)
def test_a_field_that_is_not_declared_is_refused(kind, given):
    table = {"type": given} if isinstance(given, str) else given
    with pytest.raises(ValueError):
        make(kind, {**table, "colour": "red"})


@pytest.mark.parametrize(("kind", "given"), PAIRS, ids=label)
def test_a_part_is_documented(kind, given):
    cls = registry.get(kind, type_of(given))
    doc = cls.__doc__ or ""
    own = [f.name for f in config_fields(cls) if not f.kw_only]
    assert all(name in doc for name in own)
    assert len(doc.strip()) > 10 and not doc.startswith(f"{cls.__name__}(")


def test_a_wrong_type_is_named():
    with pytest.raises(ConfigError) as error:
        registry.get("layer", "linear")(units="ten")
    assert str(error.value) == ("layer 'linear': units: Input should be a valid integer, got 'ten'")
