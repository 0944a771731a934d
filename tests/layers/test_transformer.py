"""Transformer blocks: parts, inputs that do not fit, and PyTorch's results."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_layer_with_torch

from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def run(config, *inputs, training=False, step=0):
    layer = make("layer", {"type": "transformer_block", "num_heads": 2, **config})
    nodes = [tensor(x) for x in inputs]
    layer.setup(*(node.spec for node in nodes), path="it")
    values = {
        p.path: tensor(random(*p.spec.shape, seed=len(p.path)) / 2) for p in layer.all_parameters()
    }
    context = Context(values, training=training, seed=3, step=step)
    return layer(*nodes, context=context).numpy()


def decode(config, *inputs, **options):
    return run({"type": "transformer_decoder_block", **config}, *inputs, **options)


def test_parameters_are_called_as_in_pytorch():
    layer = make("layer", {"type": "transformer_block", "num_heads": 2})
    assert layer.setup(Spec((3, 5, 4)), path="a") == Spec((3, 5, 4))
    assert {p.path: p.spec.shape for p in layer.all_parameters()} == {
        "a.self_attn.in_proj_weight": (12, 4),
        "a.self_attn.in_proj_bias": (12,),
        "a.self_attn.out_proj.weight": (4, 4),
        "a.self_attn.out_proj.bias": (4,),
        "a.linear1.weight": (16, 4),
        "a.linear1.bias": (16,),
        "a.linear2.weight": (4, 16),
        "a.linear2.bias": (4,),
        "a.norm1.weight": (4,),
        "a.norm1.bias": (4,),
        "a.norm2.weight": (4,),
        "a.norm2.bias": (4,),
    }


def test_a_gated_activation_narrows_the_second_map():
    config = {"type": "transformer_block", "num_heads": 2, "activation": "swiglu"}
    layer = make("layer", config)
    layer.setup(Spec((3, 5, 4)))
    shapes = {p.path: p.spec.shape for p in layer.all_parameters()}
    assert (shapes["linear1.weight"], shapes["linear2.weight"]) == ((16, 4), (4, 8))


def test_repeated_blocks_share_nothing():
    block = {"type": "transformer_block", "num_heads": 2, "repeat": 3}
    model = make("layer", {"type": "sequential", "layers": [block]})
    model.setup(Spec((3, 5, 4)))
    paths = [p.path for p in model.all_parameters()]
    assert len(set(paths)) == len(paths) == 3 * 12


def test_a_causal_block_does_not_see_what_comes_later():
    x = random(1, 5, 4)
    for rotary in (False, True):
        config = {"causal": True, "rotary": rotary}
        whole, part = run(config, x), run(config, x[:, :3])
        np.testing.assert_allclose(part, whole[:, :3], rtol=1e-10)


def test_dropout_acts_in_training_alone_and_in_four_places():
    x, plain = random(2, 5, 4), run({}, random(2, 5, 4))
    np.testing.assert_array_equal(run({"dropout": 0.5}, x), plain)
    first, again, other = (run({"dropout": 0.5}, x, training=True, step=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    layer = make("layer", {"type": "transformer_block", "num_heads": 2, "dropout": 0.25})
    layer.setup(Spec((2, 5, 4)))
    assert layer.children["self_attn"].dropout == 0.25
    dropped = [name for name, part in layer.children.items() if part.type_name == "dropout"]
    assert dropped == ["dropout", "dropout1", "dropout2"]


def test_what_does_not_fit_is_an_error_that_names_the_part():
    layer = make("layer", {"type": "transformer_block", "num_heads": 3})
    with pytest.raises(ShapeError) as caught:
        layer.setup(Spec((2, 5, 4)), path="it")
    assert str(caught.value) == (
        "layer 'it.self_attn' (multi_head_attention): num_heads = 3 does not divide the width 4 "
        "(its input is float32[2, 5, 4])"
    )
    layer = make("layer", {"type": "transformer_block", "num_heads": 2, "norm": "flatten"})
    with pytest.raises(ShapeError, match=r"the norm 'flatten' changes the shape"):
        layer.setup(Spec((2, 5, 4)), path="it")
    with pytest.raises(ShapeError, match=r"it takes sequences, .* not \(2, 5\)"):
        layer.setup(Spec((2, 5)), path="it")


# -- the decoder -------------------------------------------------------------------------------


def test_parameters_of_the_decoder_are_called_as_in_pytorch():
    layer = make("layer", {"type": "transformer_decoder_block", "num_heads": 2, "bias": False})
    assert layer.setup(Spec((3, 5, 4)), Spec((3, 7, 6)), path="a") == Spec((3, 5, 4))
    assert {p.path: p.spec.shape for p in layer.all_parameters()} == {
        "a.self_attn.in_proj_weight": (12, 4),
        "a.self_attn.out_proj.weight": (4, 4),
        "a.multihead_attn.q_proj_weight": (4, 4),
        "a.multihead_attn.k_proj_weight": (4, 6),
        "a.multihead_attn.v_proj_weight": (4, 6),
        "a.multihead_attn.out_proj.weight": (4, 4),
        "a.linear1.weight": (16, 4),
        "a.linear2.weight": (4, 16),
        **{f"a.norm{i}.{name}": (4,) for i in (1, 2, 3) for name in ("weight", "bias")},
    }


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_decoder_sees_its_own_past_and_all_of_the_memory(pre_norm):
    config, x, memory = {"pre_norm": pre_norm}, random(1, 5, 4), random(1, 3, 4)
    whole = decode(config, x, memory)
    np.testing.assert_allclose(decode(config, x[:, :3], memory), whole[:, :3], rtol=1e-10)
    changed = memory.copy()
    changed[:, -1] += 1.0
    assert not np.isclose(decode(config, x, changed), whole).any()
    assert not np.allclose(decode({**config, "causal": False}, x, memory)[:, :3], whole[:, :3])


def test_what_is_padding_does_not_matter_to_a_decoder():
    x, memory = random(2, 5, 4), random(2, 6, 4)
    x_mask, memory_mask = np.zeros((2, 5), bool), np.zeros((2, 6), bool)
    x_mask[0, :2] = memory_mask[1, 4:] = True
    for inputs in ((x, x_mask, memory, memory_mask), (x, memory, memory_mask), (x, x_mask, memory)):
        found = decode({}, *inputs)
        has_x_mask = inputs[1] is x_mask
        own, other = x.copy(), memory.copy()
        if has_x_mask:
            own[0, :2] = 9.0
        if inputs[-1] is memory_mask:
            other[1, 4:] = 9.0
        given = [own if a is x else other if a is memory else a for a in inputs]
        first = 2 if has_x_mask else 0
        np.testing.assert_array_equal(decode({}, *given)[0, first:], found[0, first:])
        np.testing.assert_array_equal(decode({}, *given)[1], found[1])


def test_repeated_decoders_share_the_memory_and_nothing_else():
    block = {"type": "transformer_decoder_block", "num_heads": 2, "repeat": 2}
    block["inputs"] = ["target", "memory"]
    layers = [
        {"type": "slice", "name": "memory", "stop": 3},
        {"type": "slice", "name": "target", "inputs": ["input"], "start": 3},
        block,
    ]
    model = make("layer", {"type": "sequential", "layers": layers})
    assert model.setup(Spec((2, 8, 4))) == Spec((2, 5, 4))
    paths = [p.path for p in model.all_parameters()]
    assert len(set(paths)) == len(paths) == 2 * 18


def test_a_decoder_drops_in_six_places():
    layer = make("layer", {"type": "transformer_decoder_block", "num_heads": 2, "dropout": 0.25})
    layer.setup(Spec((2, 5, 4)), Spec((2, 3, 4)))
    assert [layer.children[name].dropout for name in ("self_attn", "multihead_attn")] == [0.25] * 2
    dropped = [name for name, part in layer.children.items() if part.type_name == "dropout"]
    assert dropped == ["dropout", "dropout1", "dropout2", "dropout3"]
    x, memory = random(2, 5, 4), random(2, 3, 4)
    plain, config = decode({}, x, memory), {"dropout": 0.5}
    np.testing.assert_array_equal(decode(config, x, memory), plain)
    assert not np.allclose(decode(config, x, memory, training=True), plain)


def refusal(error, *specs, **config):
    layer = make("layer", {"type": "transformer_decoder_block", "num_heads": 2, **config})
    with pytest.raises(error) as caught:
        layer.setup(*(Spec(*spec) for spec in specs), path="it")
    return str(caught.value)


def test_inputs_of_a_decoder_that_do_not_fit_are_errors():
    x, memory, mask = ((2, 5, 4),), ((2, 3, 4),), ((2, 3), "bool")
    start = "layer 'it' (transformer_decoder_block): "
    wanted = start + (
        "it takes a sequence and a memory, each with its padding mask behind it if it has one, not "
    )
    assert refusal(ConfigError, x) == wanted + "float32"
    assert refusal(ConfigError, x, mask) == wanted + "float32, bool"
    assert refusal(ConfigError, x, memory, memory) == wanted + "float32, float32, float32"
    assert refusal(ConfigError, x, memory, mask, mask) == wanted + "float32, float32, bool, bool"
    assert refusal(ShapeError, x, mask, memory) == (
        "layer 'it.self_attn' (multi_head_attention): the padding mask has shape (2, 3), but the "
        "sequences have (batch, time) = (2, 5) (its inputs are float32[2, 5, 4], bool[2, 3])"
    )
    assert refusal(ShapeError, x, ((3, 3, 4),)) == (
        "layer 'it.multihead_attn' (multi_head_attention): the sequences do not fit together: "
        "queries, keys and values have (batch, time) = (2, 5), (3, 3) and (3, 3) "
        "(its inputs are float32[2, 5, 4], float32[3, 3, 4])"
    )
    assert refusal(ShapeError, x, ((2, 4),)) == (
        "layer 'it.multihead_attn' (multi_head_attention): it takes sequences, of shape (batch, "
        "time, features), not (2, 4) (its inputs are float32[2, 5, 4], float32[2, 4])"
    )
    assert refusal(ShapeError, x, memory, num_heads=3) == (
        "layer 'it.self_attn' (multi_head_attention): num_heads = 3 does not divide the width 4 "
        "(its input is float32[2, 5, 4])"
    )


# -- PyTorch -----------------------------------------------------------------------------------


def torch_module(name, width, heads, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = getattr(torch.nn, name)(
        width, heads, dim_feedforward=3 * width, dropout=0.0, batch_first=True, **options
    ).double()
    for p in module.parameters():
        torch.nn.init.uniform_(p, -0.7, 0.7)
    return module


def later(length):
    torch = pytest.importorskip("torch")
    return torch.triu(torch.ones(length, length, dtype=torch.bool), 1)


def padding(batch, length):
    mask = np.zeros((batch, length), bool)
    mask[0, length // 2 + 1 :] = True
    return mask


@pytest.mark.parity
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize(("shape", "heads"), [((2, 5, 8), 4), ((1, 1, 3), 1), ((3, 4, 6), 2)])
def test_it_is_that_of_pytorch(shape, heads, pre_norm, mask, activation, bias):
    options = {"activation": activation, "bias": bias}
    module = torch_module(
        "TransformerEncoderLayer", shape[2], heads, norm_first=pre_norm, **options
    )
    config = {
        "type": "transformer_block",
        "num_heads": heads,
        "mlp_ratio": 3.0,
        "pre_norm": pre_norm,
        "causal": mask == "causal",
        "norm": {"type": "layer_norm", "bias": bias},
        **options,
    }
    arrays = [random(*shape)] + ([padding(*shape[:2])] if mask == "padding" else [])

    def call(module, x, padding=None):
        given = later(shape[1]) if mask == "causal" else None
        return module(x, src_mask=given, src_key_padding_mask=padding)

    # in training, where PyTorch takes no shortcut through a kernel that rounds otherwise
    compare_layer_with_torch(config, module, arrays, call=call, training=True)


@pytest.mark.parity
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masks", ["none", "own", "memory", "both"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize(
    ("shape", "length", "heads"), [((2, 5, 8), 3, 4), ((1, 1, 3), 1, 1), ((3, 4, 6), 7, 2)]
)
def test_the_decoder_is_that_of_pytorch(shape, length, heads, pre_norm, causal, masks, bias):
    batch, time, width = shape
    options = {"activation": "relu", "bias": bias}
    module = torch_module("TransformerDecoderLayer", width, heads, norm_first=pre_norm, **options)
    config = {
        "type": "transformer_decoder_block",
        "num_heads": heads,
        "mlp_ratio": 3.0,
        "pre_norm": pre_norm,
        "causal": causal,
        "norm": {"type": "layer_norm", "bias": bias},
        **options,
    }
    own = [padding(batch, time)] if masks in ("own", "both") else []
    other = [padding(batch, length)] if masks in ("memory", "both") else []

    def call(module, x, *others):
        own_mask = others[0] if own else None
        memory, memory_mask = others[len(own)], others[-1] if other else None
        return module(
            x,
            memory,
            tgt_mask=later(time) if causal else None,
            tgt_key_padding_mask=own_mask,
            memory_key_padding_mask=memory_mask,
        )

    arrays = [random(*shape), *own, random(batch, length, width, seed=1), *other]
    compare_layer_with_torch(config, module, arrays, call=call, training=True)
