"""Multi-head attention: masks, several inputs, inputs that do not fit, and PyTorch's results."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_layer_with_torch

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def run(config, *inputs, training=False, step=0):
    """Return the output of an attention layer with fixed random parameters."""
    layer = make("layer", {"type": "multi_head_attention", **config})
    nodes = [tensor(x) for x in inputs]
    layer.setup(*(node.spec for node in nodes), path="it")
    values = {
        p.path: tensor(random(*p.spec.shape, seed=len(p.path))) for p in layer.all_parameters()
    }
    context = Context(values, training=training, seed=3, step=step)
    return layer(*nodes, context=context).numpy()


def refusal(config, *specs, error=ShapeError):
    layer = make("layer", {"type": "multi_head_attention", **config})
    with pytest.raises(error) as caught:
        layer.setup(*(Spec(*spec) for spec in specs), path="it")
    return str(caught.value).removeprefix("layer 'it' (multi_head_attention): ")


def test_parameters_are_called_as_in_pytorch():
    layer = make("layer", {"type": "multi_head_attention", "num_heads": 2})
    assert layer.setup(Spec((3, 5, 4)), path="a") == Spec((3, 5, 4))
    assert {p.path: p.spec.shape for p in layer.all_parameters()} == {
        "a.in_proj_weight": (12, 4),
        "a.in_proj_bias": (12,),
        "a.out_proj.weight": (4, 4),
        "a.out_proj.bias": (4,),
    }


def test_inputs_of_other_widths_have_weights_of_their_own():
    layer = make("layer", {"type": "multi_head_attention", "num_heads": 2, "bias": False})
    layer.setup(Spec((3, 5, 4)), Spec((3, 2, 6)), Spec((3, 2, 7)))
    assert {p.path: p.spec.shape for p in layer.all_parameters()} == {
        "q_proj_weight": (4, 4),
        "k_proj_weight": (4, 6),
        "v_proj_weight": (4, 7),
        "out_proj.weight": (4, 4),
    }


def test_what_is_padding_does_not_matter():
    x, mask = random(2, 5, 4), np.array([[False] * 3 + [True] * 2, [False] * 5])
    changed = x.copy()
    changed[0, 3:] = 1e3
    found, other = (run({"num_heads": 2}, each, mask) for each in (x, changed))
    np.testing.assert_array_equal(found[0, :3], other[0, :3])
    np.testing.assert_allclose(found[:1, :3], run({"num_heads": 2}, x[:1, :3]), rtol=1e-12)
    np.testing.assert_allclose(found[1:], run({"num_heads": 2}, x[1:]), rtol=1e-12)


def test_where_all_is_padding_the_bias_is_left():
    x = random(1, 3, 4)
    found = run({"num_heads": 2}, x, np.ones((1, 3), bool))
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))
    assert np.isfinite(found).all()


def test_a_causal_step_does_not_see_what_comes_later():
    x = random(1, 5, 4)
    whole = run({"num_heads": 2, "causal": True}, x)
    for t in range(1, 6):
        part = run({"num_heads": 2, "causal": True}, x[:, :t])
        np.testing.assert_allclose(part, whole[:, :t], rtol=1e-10)


def test_without_positions_the_order_of_steps_does_not_matter_and_with_rotary_it_does():
    x, order = random(1, 5, 4), [3, 0, 4, 1, 2]
    for rotary in (False, True):
        first = run({"num_heads": 2, "rotary": rotary}, x)[:, order]
        second = run({"num_heads": 2, "rotary": rotary}, x[:, order])
        assert np.allclose(first, second) is not rotary


def test_two_sequences_are_the_same_as_the_second_given_twice():
    x, memory, config = random(2, 3, 4), random(2, 5, 4), {"num_heads": 2}
    two, three = run(config, x, memory), run(config, x, memory, memory)
    np.testing.assert_array_equal(two, three)


def test_a_head_of_keys_serves_several_of_queries():
    """The same as heads of their own whose rows are equal."""
    x, mask = random(2, 5, 8), np.array([[False] * 5, [False] * 3 + [True] * 2])
    config = {"num_heads": 4, "num_kv_heads": 2, "rotary": True, "causal": True}
    layer = make("layer", {"type": "multi_head_attention", **config})
    layer.setup(Spec((2, 5, 8)), Spec((2, 5), "bool"), path="it")
    values = {p.path: random(*p.spec.shape) for p in layer.all_parameters()}
    assert values["it.in_proj_weight"].shape == (8 + 4 + 4, 8)
    q, k, v = np.split(np.c_[values["it.in_proj_weight"], values["it.in_proj_bias"]], [8, 12])
    k, v = (part.reshape(2, 2, 9).repeat(2, 0).reshape(8, 9) for part in (k, v))
    whole = np.concatenate([q, k, v])
    found = []
    for options, weight, bias in (
        (config, values["it.in_proj_weight"], values["it.in_proj_bias"]),
        ({**config, "num_kv_heads": None}, whole[:, :8], whole[:, 8]),
    ):
        layer = make("layer", {"type": "multi_head_attention", **options})
        layer.setup(Spec((2, 5, 8)), Spec((2, 5), "bool"), path="it")
        given = {**values, "it.in_proj_weight": weight, "it.in_proj_bias": bias}
        context = Context({path: tensor(value) for path, value in given.items()})
        found.append(layer(tensor(x), tensor(mask), context=context).numpy())
    np.testing.assert_allclose(*found, rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["multi_head_attention", "transformer_block", "transformer_decoder_block"]
)
def test_heads_that_cannot_be_shared_out_are_an_error(name):
    with pytest.raises(ConfigError) as caught:
        registry.get("layer", name)(num_heads=4, num_kv_heads=3)
    assert str(caught.value) == f"layer '{name}': num_kv_heads = 3 does not divide num_heads = 4"


def test_dropout_acts_in_training_alone():
    x, config = random(2, 6, 4), {"num_heads": 2, "dropout": 0.5}
    plain = run({"num_heads": 2}, x)
    np.testing.assert_array_equal(run(config, x), plain)
    first, again, next_step = (run(config, x, training=True, step=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, next_step)
    assert not np.allclose(first, plain)


def test_inputs_that_do_not_fit_are_errors():
    x = (3, 5, 4)
    assert refusal({"num_heads": 3}, (x,)) == (
        "num_heads = 3 does not divide the width 4 (its input is float32[3, 5, 4])"
    )
    assert refusal({"num_heads": 2}, ((3, 4),)) == (
        "it takes sequences, of shape (batch, time, features), not (3, 4) "
        "(its input is float32[3, 4])"
    )
    assert refusal({"num_heads": 2}, (x,), ((3, 4), "bool")) == (
        "the padding mask has shape (3, 4), but the sequences have (batch, time) = (3, 5) "
        "(its inputs are float32[3, 5, 4], bool[3, 4])"
    )
    assert refusal({"num_heads": 2}, (x,), ((2, 5, 4),)) == (
        "the sequences do not fit together: queries, keys and values have (batch, time) = "
        "(3, 5), (2, 5) and (2, 5) (its inputs are float32[3, 5, 4], float32[2, 5, 4])"
    )
    assert refusal({"num_heads": 4, "rotary": True}, (x,)) == (
        "rotary needs an even number of features a head, but 4 / 4 = 1 "
        "(its input is float32[3, 5, 4])"
    )
    assert "it takes floats, not int64" in refusal({"num_heads": 2}, (x, "int64"), error=DtypeError)


def test_the_wrong_number_of_inputs_is_an_error():
    x, mask = ((3, 5, 4),), ((3, 5), "bool")
    assert refusal({"num_heads": 2}, x, x, x, x, error=ConfigError) == (
        "it takes one to three sequences and one padding mask, not 4 and 0"
    )
    assert refusal({"num_heads": 2}, mask, error=ConfigError) == (
        "it takes one to three sequences and one padding mask, not 0 and 1"
    )
    assert refusal({"num_heads": 2, "rotary": True}, x, x, error=ConfigError) == (
        "rotary is for attention of a sequence to itself, but 2 sequences are given"
    )


# -- PyTorch -----------------------------------------------------------------------------------


def attend(causal):
    def call(module, *inputs):
        torch = pytest.importorskip("torch")
        *xs, mask = [*inputs, None] if inputs[-1].is_floating_point() else inputs
        query, key, value = xs[0], xs[min(1, len(xs) - 1)], xs[-1]
        shape = (query.shape[1], key.shape[1])
        later = torch.triu(torch.ones(shape, dtype=torch.bool), 1) if causal else None
        options = {"key_padding_mask": mask, "attn_mask": later, "need_weights": False}
        return module(query, key, value, **options)[0]

    return call


@pytest.mark.parity
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("heads", "shapes"),
    [
        (1, [(2, 3, 4)]),
        (4, [(2, 5, 8)]),
        (3, [(1, 1, 9)]),
        (2, [(0, 3, 4)]),
        (2, [(3, 4, 6), (3, 7, 6)]),
        (2, [(3, 4, 6), (3, 5, 4)]),
        (2, [(2, 1, 6), (2, 5, 3), (2, 5, 7)]),
        (5, [(2, 3, 5), (2, 3, 5), (2, 3, 5)]),
    ],
    ids=str,
)
def test_attention_is_that_of_pytorch(heads, shapes, bias, masked, causal):
    torch = pytest.importorskip("torch")
    width, keys, values = shapes[0][2], shapes[min(1, len(shapes) - 1)], shapes[-1]
    torch.manual_seed(1)
    module = torch.nn.MultiheadAttention(
        width, heads, bias=bias, kdim=keys[2], vdim=values[2], batch_first=True
    ).double()
    for p in module.parameters():
        torch.nn.init.uniform_(p, -0.7, 0.7)
    arrays = [random(*shape, seed=i) for i, shape in enumerate(shapes)]
    if masked and shapes[0][0]:  # PyTorch cannot reshape a mask for an empty batch
        mask = np.random.default_rng(3).random(keys[:2]) < 0.4
        mask[:, 0] = False
        arrays.append(mask)
    config = {"type": "multi_head_attention", "num_heads": heads, "bias": bias, "causal": causal}
    compare_layer_with_torch(config, module, arrays, call=attend(causal))


@pytest.mark.parity
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (4, 1), (6, 3), (2, 2)])
def test_shared_heads_are_those_of_pytorch(heads, kv_heads, causal):
    torch = pytest.importorskip("torch")
    width, features = 3 * heads, 3
    rows = [width, kv_heads * features, kv_heads * features]
    torch.manual_seed(1)
    module = torch.nn.Module()
    module.in_proj_weight = torch.nn.Parameter(torch.randn(sum(rows), width))
    module.in_proj_bias = torch.nn.Parameter(torch.randn(sum(rows)))
    module.out_proj = torch.nn.Linear(width, width)

    def call(module, x):
        projected = x @ module.in_proj_weight.T + module.in_proj_bias
        q, k, v = (
            part.unflatten(-1, (-1, features)).transpose(1, 2) for part in projected.split(rows, -1)
        )
        z = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=True
        )
        return module.out_proj(z.transpose(1, 2).flatten(2))

    config = {"type": "multi_head_attention", "num_heads": heads, "num_kv_heads": kv_heads}
    compare_layer_with_torch({**config, "causal": causal}, module, [random(2, 5, width)], call=call)
