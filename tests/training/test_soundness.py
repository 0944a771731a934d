"""Networks whose shapes fit and that cannot be what was meant, or are likely not."""

import re
from pathlib import Path

import pytest

from minidl.config import parse_config
from minidl.errors import ConfigError, DataError
from minidl.training import fit
from minidl.training.pipeline import prepare


def refused(config):
    with pytest.raises(ConfigError) as caught:
        prepare(config)
    return str(caught.value)


@pytest.mark.parametrize("last", ['"linear", units = 10', '"softmax"'])
def test_nll_takes_log_probabilities(small, last):
    end = '{ type = "linear", units = 10, name = "out" }'
    config = small("loss.type=nll", replace=(end, f"{end}, {{ type = {last} }}"))
    assert re.fullmatch(
        r"small\.toml:\d+:\d+: loss 'nll' takes log probabilities, but e to what the model gives "
        r"the classes adds up to [\d.]+, not to 1; end the model with \{ type = 'log_softmax' \}, "
        r"or use the loss 'cross_entropy'",
        refused(config),
    )


def test_log_softmax_makes_log_probabilities(small):
    end = '{ type = "linear", units = 10, name = "out" }'
    prepare(small("loss.type=nll", replace=(end, f'{end}, {{ type = "log_softmax" }}')))


TEXT = """
device = "cpu"
data = { dataset = "text", path = "abc.txt", context = 8, batch_size = 8 }
model = { layers = [{ type = "embedding", num_embeddings = 4, embedding_dim = 8 }, LAYER
  { type = "linear", units = 4 }] }
loss = { type = "cross_entropy" }
optimizer = { type = "sgd" }
"""
SEES = (
    "the model sees the tokens that it is to predict: what it gives for the first ones changes "
    "with the last one; "
)


@pytest.fixture
def text(tmp_path, monkeypatch):
    """Return a function that makes a config of text with one layer in the middle."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abc.txt").write_text("abcd" * 100)

    def make(layer, *overrides):
        content = TEXT.replace("LAYER", f"{layer}," if layer else "")
        return parse_config(content, str(tmp_path / "text.toml"), overrides=overrides)

    return make


@pytest.mark.parametrize(
    ("layer", "advice"),
    [
        (
            '{ type = "transformer_block", num_heads = 2 }',
            "set causal = true in layer 'transformer_block_1' (transformer_block, model.layers[1])",
        ),
        (
            '{ type = "gru", hidden_size = 4, bidirectional = true, name = "both" }',
            "set bidirectional = false in layer 'both' (gru, model.layers[1])",
        ),
        (
            '{ type = "layer_norm", normalized_shape = [8, 8] }',
            "let each place depend on those before it alone",
        ),
    ],
)
def test_a_network_of_text_may_not_see_what_it_predicts(text, layer, advice):
    message = refused(text(layer))
    assert message.endswith(SEES + advice)


@pytest.mark.parametrize(
    "layer",
    [
        "",
        '{ type = "transformer_block", num_heads = 2, causal = true }',
        '{ type = "gru", hidden_size = 4 }',
    ],
)
def test_a_network_of_text_may_see_what_came_before(text, layer):
    assert prepare(text(layer)).remarks == ()
    assert prepare(text(layer, "data.context=1")).remarks == ()


def test_an_embedding_has_room_for_every_token_of_the_text(text):
    (Path.cwd() / "abc.txt").write_text("abc" * 100 + "d" * 60)
    with pytest.raises(DataError) as caught:
        prepare(text("", "model.layers[0].num_embeddings=3"))
    assert str(caught.value).endswith(
        "layer 'embedding_0' (embedding, model.layers[0]): index 3 at [0, 7] is not from 0 to 2"
    )


SERIES = """
device = "cpu"
data = { dataset = "sequence_csv", path = "s.csv", group = "s", target = "y", padding = -99 }
loss = { type = "cross_entropy" }
optimizer = { type = "sgd" }
[model]
layers = [
  { type = "padding_mask", name = "mask" },
  { type = "gru", hidden_size = 4, output = "last", inputs = ["input", "mask"] },
  { type = "linear", units = 2 },
]
"""


def test_the_padding_of_the_data_is_that_of_the_mask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{s},{t},{'ab'[s % 2]}\n" for s in range(20) for t in range(2 + s % 2)]
    (tmp_path / "s.csv").write_text("s,t,y\n" + "".join(rows))
    path = str(tmp_path / "net.toml")
    assert refused(parse_config(SERIES, path)) == (
        f"{path}:8:3: layer 'mask' (padding_mask, model.layers[0]) looks for value = 0, but "
        f"dataset 'sequence_csv' ({tmp_path / 's.csv'}) fills sequences up with padding = -99; "
        "let both be the same"
    )
    prepare(parse_config(SERIES, path, overrides=["model.layers[0].value=-99"]))
    prepare(parse_config(SERIES, path, overrides=["data.padding=0"]))


# -- what is only likely to be wrong ----------------------------------------------------------


def test_probabilities_before_a_loss_of_logits_are_remarked_upon(small):
    end = '{ type = "linear", units = 10, name = "out" }'
    prepared = prepare(small(replace=(end, f'{end}, {{ type = "softmax", name = "p" }}')))
    assert prepared.remarks == (
        "layer 'p' (softmax, model.layers[5]) makes probabilities, but the loss 'cross_entropy' "
        "takes logits and applies softmax itself; leave the layer out",
    )
    assert prepare(small()).remarks == ()


def test_a_warm_up_that_does_not_end_is_remarked_upon(small):
    schedule = ('[optimizer]\ntype = "adam"', '[schedule]\ntype = "cosine"\nwarmup_steps = 39\n')
    schedule = (schedule[0], schedule[1] + schedule[0])
    assert prepare(small("schedule.warmup_steps=38", replace=schedule)).remarks == ()
    expected = (
        "schedule 'cosine': the warm-up takes 39 steps, but the run has only {}; lower "
        "warmup_steps, or train longer"
    )
    assert prepare(small(replace=schedule)).remarks == (expected.format(39),)
    for override, steps in (("training.max_steps=7", 7), ("training.accumulate=4", 12)):
        assert prepare(small(override, replace=schedule)).remarks == (expected.format(steps),)


def test_a_share_that_nothing_is_held_out_by_is_remarked_upon(text):
    assert prepare(text("", "data.validation=0.2")).remarks == (
        f"[data] validation = 0.2 does nothing with dataset 'text' ({text('').data.dataset.path}): "
        "validation_fraction decides what validates",
    )


def test_large_targets_that_are_not_standardised_are_remarked_upon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("x,y\n" + "".join(f"{i / 9},{i * 1e3}\n" for i in range(99)))
    content = """
data = { dataset = "csv", path = "p.csv", target = "y", test_fraction = 0.0 }
model = { layers = [{ type = "linear", units = 1 }] }
loss = { type = "mse" }
optimizer = { type = "sgd" }
"""
    path = str(tmp_path / "net.toml")
    assert prepare(parse_config(content, path)).remarks == (
        f"the targets of dataset 'csv' ({tmp_path / 'p.csv'}) are 4.9e+04 in size, the mean of "
        "all, far from what a network gives at first; set standardize_targets = true",
    )
    for override in ("data.standardize_targets=true", "data.reconstruct=true"):
        assert prepare(parse_config(content, path, overrides=[override])).remarks == ()


def test_one_class_alone_is_remarked_upon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = """
data = { dataset = "csv", path = "k.csv", target = "y", test_fraction = 0.0 }
model = { layers = [{ type = "linear", units = 1 }] }
loss = { type = "binary_cross_entropy" }
optimizer = { type = "sgd" }
"""
    config = parse_config(content, str(tmp_path / "net.toml"), overrides=["data.validation=0.1"])
    (tmp_path / "k.csv").write_text("x,y\n" + "".join(f"{i},0\n" for i in range(20)))
    assert prepare(config).remarks == (
        f"all 18 training samples of dataset 'csv' ({tmp_path / 'k.csv'}) are of the class '0', "
        "so there is nothing to tell apart",
    )
    (tmp_path / "k.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    assert prepare(config).remarks == ()


def test_python_is_warned(text):
    with pytest.warns(UserWarning, match="validation = 0.3 does nothing"):
        fit(text("", "data.validation=0.3", "training.epochs=1"))
