"""Optimisers against the formulas of their papers, and against PyTorch where it is there."""

import numpy as np
import pytest

from minidl import registry
from minidl.compiler import compile_graph
from minidl.component import make
from minidl.errors import ConfigError
from minidl.graph import Graph, Spec, placeholder, tensor

STEPS = 20
LR = 0.05

RULES = [
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    ("adam", {}),
    ("adam", {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}),
    ("adam", {"betas": (0.0, 0.9)}),
    ("adam", {"betas": (0.9, 0.0)}),
    ("adamw", {}),
    ("adamw", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.5}),
]


def sgd(p, gradients, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    """Return the parameter after each of the steps."""
    velocity, path = None, []
    for g in gradients:
        g = g + weight_decay * p
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
        path.append(p)
    return path


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    """Return the parameter after each of the steps."""
    beta1, beta2 = betas
    m, v, path = np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        path.append(p)
    return path


def adamw(p, gradients, lr, weight_decay=0.01, **fields):
    """Return the parameter after each of the steps."""
    return adam(p, gradients, lr, weight_decay=weight_decay, decoupled=True, **fields)


REFERENCE = {"sgd": sgd, "adam": adam, "adamw": adamw}
"""Optimisers written out in NumPy as their papers have them."""


def problem():
    """Return a first parameter and a gradient for each step; some elements are very small."""
    rng = np.random.default_rng(3)
    scale = np.array([1e-6, 1e-2, 1.0, 1e2])
    return rng.normal(size=(3, 4)), [rng.normal(size=(3, 4)) * scale for _ in range(STEPS)]


def walk(name, fields, dtype="float64"):
    """Return the parameter after each step of minidl's optimiser."""
    optimizer = make("optimizer", {"type": name, "lr": LR, **fields})
    start, gradients = problem()
    p = tensor(start, dtype=dtype)
    slots = {
        slot: tensor(np.zeros(spec.shape), dtype=spec.dtype)
        for slot, spec in optimizer.slots(p.spec).items()
    }
    path = []
    for step, g in enumerate(gradients, start=1):
        count = tensor(float(step), dtype=dtype)
        lr = tensor(LR, dtype=dtype)
        p, slots = optimizer.update(p, tensor(g, dtype=dtype), slots, lr, count)
        assert p.dtype == dtype
        assert all(slot.dtype == dtype for slot in slots.values())
        path.append(p.numpy())
    return path


@pytest.mark.parametrize(("name", "fields"), RULES)
def test_twenty_steps_follow_the_formula(name, fields):
    expected = REFERENCE[name](*problem(), LR, **fields)
    for step, (ours, theirs) in enumerate(zip(walk(name, fields), expected, strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12, err_msg=f"step {step}")


@pytest.mark.parametrize(("name", "fields"), RULES)
def test_float32_follows_the_formula_to_its_precision(name, fields):
    expected = REFERENCE[name](*problem(), LR, **fields)
    for ours, theirs in zip(walk(name, fields, "float32"), expected, strict=True):
        scale = np.abs(theirs).max(axis=0) + 1
        assert (np.abs(ours - theirs) / scale).max() < 2e-5


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_float16_parameters_stay_float16(name):
    assert walk(name, {}, "float16")[0].dtype == "float16"


@pytest.mark.parity
@pytest.mark.parametrize(("name", "fields"), RULES)
def test_twenty_steps_are_those_of_pytorch(name, fields):
    torch = pytest.importorskip("torch")
    start, gradients = problem()
    p = torch.nn.Parameter(torch.tensor(start))
    cls = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    theirs = cls([p], lr=LR, **fields)
    for ours, g in zip(walk(name, fields), gradients, strict=True):
        p.grad = torch.tensor(g)
        theirs.step()
        np.testing.assert_allclose(ours, p.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_the_first_steps_of_adam_are_of_the_size_of_lr():
    first = walk("adam", {}, "float32")[0]
    np.testing.assert_allclose(np.abs(first - problem()[0])[:, 1:], LR, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "fields", "passes"),
    [
        ("sgd", {}, 2),
        ("sgd", {"weight_decay": 0.1}, 3),
        ("sgd", {"momentum": 0.9}, 4),
        ("sgd", {"momentum": 0.9, "nesterov": True}, 6),
        ("adam", {}, 10),
        ("adam", {"weight_decay": 0.1}, 12),
        ("adamw", {}, 11),
    ],
)
def test_an_update_costs_few_passes_over_memory(name, fields, passes):
    program = step_program(make("optimizer", {"type": name, **fields}), count=1)
    assert sum(node.shape == (3, 4) for node in program.nodes) == passes


def test_scalars_of_a_step_are_computed_once_for_all_parameters():
    optimizer = make("optimizer", "adam")
    scalars = [
        sum(node.shape == () for node in step_program(optimizer, count).nodes) for count in (1, 3)
    ]
    assert scalars[0] == scalars[1] > 0


def step_program(optimizer, count):
    """Return a program that updates ``count`` parameters of shape (3, 4)."""
    lr, step = placeholder("lr", ()), placeholder("step", ())
    inputs, state = [lr, step], []
    for index in range(count):
        p, g = placeholder(f"p{index}", (3, 4)), placeholder(f"g{index}", (3, 4))
        inputs.append(g)
        slots = {
            slot: placeholder(f"p{index}:{slot}", *spec)
            for slot, spec in optimizer.slots(p.spec).items()
        }
        new, new_slots = optimizer.update(p, g, slots, lr, step)
        state += [(p, new), *((slots[slot], new_slots[slot]) for slot in slots)]
    return compile_graph(Graph(tuple(inputs), (), tuple(state)))


@pytest.mark.parametrize(
    ("name", "fields", "slots"),
    [
        ("sgd", {}, []),
        ("sgd", {"momentum": 0.9}, ["velocity"]),
        ("adam", {}, ["first_moment", "second_moment"]),
        ("adamw", {}, ["first_moment", "second_moment"]),
    ],
)
def test_slots_are_like_the_parameter(name, fields, slots):
    spec = Spec((2, 3), "float32")
    kept = make("optimizer", {"type": name, **fields}).slots(spec)
    assert kept == dict.fromkeys(slots, spec)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("sgd", {"lr": -1.0}, "lr: Input should be greater than or equal to 0, got -1.0"),
        ("sgd", {"momentum": 1.0}, "momentum: Input should be less than 1, got 1.0"),
        (
            "sgd",
            {"nesterov": True},
            "nesterov takes momentum above 0 and dampening 0, got momentum 0.0 and dampening 0.0",
        ),
        ("adam", {"betas": (0.9, 1.0)}, "betas.1: Input should be less than 1, got 1.0"),
        ("adamw", {"eps": -1e-8}, "eps: Input should be greater than or equal to 0, got -1e-08"),
    ],
)
def test_fields_that_make_no_sense_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("optimizer", name)(**fields)
    assert str(error.value) == f"optimizer '{name}': {message}"
    with pytest.raises(ValueError):
        make("optimizer", {"type": name, **fields})


def test_an_integer_learning_rate_is_a_number():
    assert make("optimizer", {"type": "sgd", "lr": 1}).lr == 1
