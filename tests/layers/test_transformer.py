"""Transformer blocks: parts, inputs that do not fit, and PyTorch's results."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_layer_with_torch

from minidl.component import make
from minidl.errors import ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def run(config, x, training=False, step=0):
    layer = make("layer", {"type": "transformer_block", "num_heads": 2, **config})
    layer.setup(tensor(x).spec, path="it")
    values = {
        p.path: tensor(random(*p.spec.shape, seed=len(p.path)) / 2) for p in layer.all_parameters()
    }
    context = Context(values, training=training, seed=3, step=step)
    return layer(tensor(x), context=context).numpy()


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


@pytest.mark.parity
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize(("shape", "heads"), [((2, 5, 8), 4), ((1, 1, 3), 1), ((3, 4, 6), 2)])
def test_it_is_that_of_pytorch(shape, heads, pre_norm, mask, activation, bias):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    width = shape[2]
    module = torch.nn.TransformerEncoderLayer(
        width,
        heads,
        dim_feedforward=3 * width,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=pre_norm,
        bias=bias,
    ).double()
    for p in module.parameters():
        torch.nn.init.uniform_(p, -0.7, 0.7)
    config = {
        "type": "transformer_block",
        "num_heads": heads,
        "mlp_ratio": 3.0,
        "activation": activation,
        "pre_norm": pre_norm,
        "causal": mask == "causal",
        "bias": bias,
        "norm": {"type": "layer_norm", "bias": bias},
    }
    later = torch.triu(torch.ones(shape[1], shape[1], dtype=torch.bool), 1)
    arrays = [random(*shape)]
    if mask == "padding":
        padding = np.zeros(shape[:2], bool)
        padding[0, shape[1] // 2 + 1 :] = True
        arrays.append(padding)

    def call(module, x, padding=None):
        given = later if mask == "causal" else None
        return module(x, src_mask=given, src_key_padding_mask=padding)

    # in training, where PyTorch takes no shortcut through a kernel that rounds otherwise
    compare_layer_with_torch(config, module, arrays, call=call, training=True)
