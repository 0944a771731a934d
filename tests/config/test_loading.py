"""From a file to a config: defaults, precedence, paths, and the way back to TOML."""

import dataclasses
from pathlib import Path

import pytest

from minidl import registry
from minidl.component import make, schema_of, to_config
from minidl.config import Override, config_from_dict, load_config, parse_config
from minidl.config.schema import Config

DIGITS = Path(__file__).parents[2] / "minidl" / "configs" / "digits.toml"


def test_defaults(parse, good):
    config = parse(good)
    assert (config.name, config.seed, config.device, config.backend) == ("net", 0, "auto", None)
    assert (config.data.batch_size, config.data.validation, config.data.shuffle) == (64, 0.1, True)
    assert config.data.evaluation_batch_size is None
    assert config.schedule is None
    training = config.training
    assert (training.epochs, training.max_steps, training.clip_norm) == (10, None, None)
    assert (training.checkpoint_every, training.keep, training.log_every) == (None, 2, 20)
    assert [metric.type_name for metric in training.metrics] == ["accuracy"]


def test_how_batches_are_made(parse, good):
    data = parse(good).data
    assert (data.sampler, data.transforms, data.prefetch) == ("uniform", [], 0)
    text = good.replace(
        "[model]",
        'sampler = "balanced"\nprefetch = 2\n'
        'transforms = ["horizontal_flip", { type = "mixup", alpha = 1 }]\n[model]',
    )
    config = parse(text)
    assert (config.data.sampler, config.data.prefetch) == ("balanced", 2)
    assert [to_config(each) for each in config.data.transforms] == [
        {"type": "horizontal_flip", "p": 0.5},
        {"type": "mixup", "alpha": 1.0},
    ]
    assert parse(config.to_toml()) == config


def test_given_values_are_typed(parse, good):
    config = parse(
        good + 'lr = 1\n[schedule]\ntype = "cosine"\n[training]\nepochs = 3\nclip_norm = 2\n'
        'metrics = ["accuracy", { type = "top_k_accuracy", k = 2 }]'
    )
    assert (config.optimizer.type_name, config.optimizer.lr) == ("sgd", 1.0)
    assert isinstance(config.optimizer.lr, float)
    assert config.schedule.type_name == "cosine"
    assert config.training.clip_norm == 2.0
    assert [metric.type_name for metric in config.training.metrics] == [
        "accuracy",
        "top_k_accuracy",
    ]
    assert [layer.type_name for layer in config.model.layers] == ["flatten", "linear"]


def test_no_metrics_is_not_the_default(parse, good):
    assert parse(good + "[training]\nmetrics = []").training.metrics == []


def test_a_part_may_be_given_by_name(parse, good):
    short = good.replace('[loss]\ntype = "cross_entropy"\n', "")
    assert parse('loss = "cross_entropy"\n' + short) == parse(good)


def test_the_name_is_that_of_the_file(parse, good, tmp_path):
    text = good.replace('name = "net"\n', "")
    (tmp_path / "fancy.toml").write_text(text)
    assert load_config(tmp_path / "fancy.toml", environ={}).name == "fancy"


def test_the_dataset_takes_what_stands_beside_it(parse, good):
    config = parse(good.replace('"digits"', '"digits"\nflat = false\nbatch_size = 8'))
    assert config.data.dataset.flat is False
    assert config.data.batch_size == 8


def test_no_dataset_declares_a_field_that_data_has_itself(parse, good):
    reserved = {"dataset", "batch_size", "validation", "shuffle", "evaluation_batch_size"}
    for entry in registry.entries("dataset"):
        assert reserved.isdisjoint(schema_of(entry.value).model_fields)


def test_a_config_is_frozen(parse, good):
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(good).seed = 3


def test_root_is_a_new_sequential_layer_every_time(parse, good):
    config = parse(good.replace("[model]", '[model]\ninput = "x"'))
    root = config.model.root()
    assert (root.type_name, root.input) == ("sequential", "x")
    assert [to_config(a) for a in root.layers] == [to_config(b) for b in config.model.layers]
    assert not set(map(id, root.layers)) & set(map(id, config.model.root().layers))


# -- precedence --------------------------------------------------------------------------------


def test_the_command_line_beats_the_environment_which_beats_the_file(parse, good):
    text = 'device = "cuda"\n' + good
    assert parse(text).device == "cuda"
    assert parse(text, environ={"MINIDL_DEVICE": "cpu"}).device == "cpu"
    assert parse(text, "device=cuda:1", environ={"MINIDL_DEVICE": "cpu"}).device == "cuda:1"
    assert parse(text, environ={"MINIDL_DEVICE": ""}).device == "cuda"
    assert parse(good, environ={"MINIDL_BACKEND": "numpy"}).backend == "numpy"


def test_the_environment_is_read_where_none_is_given(good, monkeypatch):
    monkeypatch.setenv("MINIDL_DEVICE", "cpu")
    assert parse_config(good).device == "cpu"


def test_a_backend_of_its_own_may_have_devices_of_its_own(parse, good):
    assert parse('backend = "numpy"\ndevice = "abacus"\n' + good).device == "abacus"


def test_overrides(parse, good):
    config = parse(
        good,
        "model.layers[1].units=64",
        "schedule.type=cosine",
        "data.flat=false",
        Override(("training", "epochs"), 3, "--epochs 3"),
    )
    assert config.model.layers[1].units == 64
    assert config.schedule.type_name == "cosine"
    assert config.data.dataset.flat is False
    assert config.training.epochs == 3
    assert config.overrides == [
        "--set model.layers[1].units=64",
        "--set schedule.type=cosine",
        "--set data.flat=false",
        "--epochs 3",
    ]


# -- paths -------------------------------------------------------------------------------------


def test_paths_of_a_dataset_are_relative_to_the_file(good, tmp_path, monkeypatch):
    text = good.replace('"digits"', '"npz"\npath = "data/points.npz"')
    (tmp_path / "net.toml").write_text(text)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = load_config("../net.toml", environ={})
    assert config.data.dataset.path == str(tmp_path / "data" / "points.npz")
    assert parse_config(config.to_toml(), environ={}) == config


def test_a_path_from_the_command_line_is_relative_to_where_it_is_given(good, tmp_path, monkeypatch):
    text = good.replace('"digits"', '"npz"\npath = "points.npz"')
    (tmp_path / "net.toml").write_text(text)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = load_config("../net.toml", ["data.path=mine.npz"], environ={})
    assert config.data.dataset.path == str(tmp_path / "here" / "mine.npz")


def test_locate(parse, good):
    config = parse(good, "model.layers[0].start_axis=1")
    assert config.locate("model.layers[1]") == "net.toml:7:3"
    assert config.locate("model.layers[1].units") == "net.toml:7:30"
    assert config.locate("model.layers[0].start_axis") == "--set model.layers[0].start_axis=1"
    assert config.locate("model.layers[0].name") == "net.toml:6:3"


# -- the way back ------------------------------------------------------------------------------


def test_the_packaged_digits_config_loads():
    config = load_config(DIGITS, environ={})
    assert config.name == "digits-mlp"
    assert config.source_text == DIGITS.read_text(encoding="utf-8")


def test_the_resolved_config_is_a_config(parse, good):
    config = parse(good + '[schedule]\ntype = "cosine"\n[training]\nmax_steps = 7\n')
    again = parse(config.to_toml())
    assert again == config
    assert again.to_toml() == config.to_toml()


def test_the_resolved_config_says_what_is_not_used(parse, good):
    table = parse(good + '[schedule]\ntype = "cosine"\n').to_dict()
    assert table["schedule"]["warmup_steps"] == 0
    assert table["optimizer"]["groups"] == []
    assert table["loss"]["axis"] == -1
    assert {"name", "inputs", "repeat", "tie"}.isdisjoint(table["model"]["layers"][0])


def test_the_resolved_config_is_laid_out_to_be_read(parse, good):
    layers = '"flatten", { type = "dropout", p = 0.5, name = "d" }'
    text = good.replace('{ type = "flatten" }', layers).replace(
        '{ type = "linear", units = 10 }', '{ type = "sequential", layers = ["tanh"] }'
    )
    resolved = parse(text + "[training]\nmax_steps = 7\n").to_toml()
    assert resolved.startswith(
        'name = "net"\nseed = 0\ndevice = "auto"\nplugins = []\n\n[data]\ndataset = "digits"\n'
    )
    assert (
        """
[model]
input = "input"
layers = [
    {type = "flatten", start_axis = 1},
    {type = "dropout", name = "d", p = 0.5},
    {type = "sequential", layers = [{type = "tanh"}], input = "input"},
]

[loss]
type = "cross_entropy"
"""
        in resolved
    )
    assert resolved.endswith(
        """
[training]
epochs = 10
max_steps = 7
accumulate = 1
precision = "float32"
min_delta = 0.0
metrics = [
    {type = "accuracy"},
]
keep = 2
log_every = 20
"""
    )


def every_sample():
    for entry in registry.entries("layer"):
        for i, sample in enumerate(entry.value.samples):
            yield pytest.param(entry.name, sample, id=f"{entry.name}-{i}")


@pytest.mark.parametrize(("name", "sample"), list(every_sample()))
def test_every_layer_comes_back(parse, good, name, sample):
    layer = make("layer", {"type": name, **sample.attributes, "name": "here", "repeat": 2})
    table = parse(good).to_dict()
    table["model"]["layers"] = [layer]
    config = config_from_dict(table)
    again = parse(config.to_toml())
    assert again == config
    assert to_config(again.model.layers[0]) == to_config(layer)


REQUIRED = {
    ("schedule", "step"): {"every": 2},
    ("schedule", "multistep"): {"milestones": [3]},
    ("schedule", "exponential"): {"gamma": 0.9},
    ("schedule", "cosine_restarts"): {"period": 3},
}


@pytest.mark.parametrize("kind", ["optimizer", "schedule", "loss"])
def test_every_part_comes_back(parse, good, kind):
    for name in registry.names(kind):
        table = parse(good).to_dict()
        table[kind] = {"type": name, **REQUIRED.get((kind, name), {})}
        config = config_from_dict(table)
        assert parse(config.to_toml()) == config


@pytest.mark.parametrize("text", ['"', "\\", "a\tb\nc", "\x7f", "é🙂", "]", "#", "'''"])
def test_odd_text_comes_back(parse, good, text):
    table = parse(good).to_dict()
    table["model"]["input"] = text
    assert parse(config_from_dict(table).to_toml()).model.input == text


def test_a_dict_may_hold_components(parse, good):
    config = parse(good)
    table = {
        "name": "net",
        "data": {"dataset": config.data.dataset},
        "model": {"layers": list(config.model.layers)},
        "loss": config.loss,
        "optimizer": config.optimizer,
    }
    made = config_from_dict(table)
    assert made == config
    assert made.data.dataset is config.data.dataset
    assert parse(made.source_text) == config


def test_equality_is_by_value(parse, good):
    assert parse(good) == parse(good)
    assert parse(good) != parse(good, "seed=1")
    assert parse(good) != "net"
    assert Config.__hash__ is None
